#include "src/parallel/testing/attention_test_case.h"

#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <thread>
#include <utility>

#include "src/attention/reference_attention.h"
#include "src/base/counter_random.h"
#include "src/base/error.h"
#include "src/base/tensor_rows.h"
#include "src/mpi/copy_block.h"
#include "src/parallel/exchanges/tensor_buffer.h"
#include "src/parallel/make_distributed_attention.h"
#include "src/parallel/partition/partition.h"

namespace attention {
namespace {

constexpr uint64_t kSeed = 7;

// Each worker makes its part; adding zeros puts the parts together exactly.
std::vector<float> Gaussian(const Communicator& workers, int64_t count, uint64_t stream) {
  std::vector<float> values(static_cast<size_t>(count));
  const IndexRange own = BalancedRange(count, workers.size(), workers.rank());
  for (int64_t i = own.begin; i < own.end; ++i) {
    values[static_cast<size_t>(i)] =
        static_cast<float>(RandomGaussian(kSeed, stream, static_cast<uint64_t>(i)));
  }
  MPI_Allreduce(MPI_IN_PLACE, values.data(), static_cast<int>(count), MPI_FLOAT, MPI_SUM, workers.handle());
  return values;
}

// Row of a whole tensor whose row 0 has global position `first_position`.
template <typename Function>
void ForEachShardRow(const AttentionProblem& problem, const TensorShard& shard, Function function) {
  for (int64_t b = 0; b < problem.batch; ++b) {
    for (int64_t h = 0; h < shard.head_count; ++h) {
      for (const TokenSegment& segment : shard.segments) {
        for (int64_t i = 0; i < segment.length; ++i) {
          function(b, h, segment.local_begin + i, segment.global_begin + i);
        }
      }
    }
  }
}

// This rank's shard of a whole tensor, in the asked storage.
struct Shard {
  Shard(const AttentionProblem& problem, const TensorShard& shard, bool token_major)
      : buffer(DataType::kFloat32, {problem.batch, shard.head_count, shard.local_tokens(), problem.head_dim}),
        view(token_major ? TokenMajorView(buffer.view().data, DataType::kFloat32, buffer.view().shape)
                         : buffer.view()) {}

  TensorBuffer buffer;
  TensorView view;
};

Shard CutOut(const AttentionProblem& problem, const TensorShard& shard, bool token_major,
             const std::vector<float>& whole, int64_t heads, int64_t tokens, int64_t first_position) {
  Shard result(problem, shard, token_major);
  const ConstTensorView from =
      HeadMajorView(whole.data(), DataType::kFloat32, {problem.batch, heads, tokens, problem.head_dim});
  ForEachShardRow(problem, shard, [&](int64_t b, int64_t h, int64_t local, int64_t global) {
    std::copy_n(from.Row<float>(b, shard.head_begin + h, global - first_position), problem.head_dim,
                result.view.Row<float>(b, h, local));
  });
  return result;
}

void Negate(const TensorView& view) {
  ForEachRow(view, [](std::span<float> row) {
    for (float& value : row) value *= -1;
  });
}

// float32 rounding as a random walk: a logit is a sum of D products of order 1, scaled by 1/sqrt(D) (error
// about sqrt(D) half-ulps in the worst part of a Gaussian sample), exp passes its absolute error on as a
// relative one, and the two sums over S keys add sqrt(S) more; the leading factors cover the tails, exp
// itself and merging. Two orders of magnitude below what one key or one row in the wrong place makes.
double Tolerance(const AttentionProblem& problem) {
  return 0x1.0p-24 * (8 + 2 * std::sqrt(static_cast<double>(problem.head_dim)) +
                      std::sqrt(static_cast<double>(problem.kv_tokens)));
}

}  // namespace

TestData MakeTestData(const Communicator& workers, const AttentionProblem& problem, double key_growth) {
  TestData data;
  data.problem = problem;
  const TensorShape q_shape = {problem.batch, problem.query_heads, problem.query_tokens, problem.head_dim};
  const TensorShape kv_shape = {problem.batch, problem.kv_heads, problem.kv_tokens, problem.head_dim};
  data.q = Gaussian(workers, q_shape.elements(), 0);
  data.k = Gaussian(workers, kv_shape.elements(), 1);
  data.v = Gaussian(workers, kv_shape.elements(), 2);
  for (size_t i = 0; i < data.k.size() && key_growth != 0; ++i) {
    const int64_t token = static_cast<int64_t>(i) / problem.head_dim % problem.kv_tokens;
    const int64_t age = key_growth > 0 ? token : problem.kv_tokens - 1 - token;
    data.k[i] *= static_cast<float>(1 + std::abs(key_growth) * static_cast<double>(age) /
                                            static_cast<double>(problem.kv_tokens));
  }
  const ConstTensorView q = HeadMajorView(data.q.data(), DataType::kFloat32, q_shape);
  const ConstTensorView k = HeadMajorView(data.k.data(), DataType::kFloat32, kv_shape);
  const ConstTensorView v = HeadMajorView(data.v.data(), DataType::kFloat32, kv_shape);
  data.expected.assign(data.q.size(), 0.0);
  const double scale = 1.0 / std::sqrt(static_cast<double>(problem.head_dim));
  int64_t row = 0;
  for (int64_t b = 0; b < problem.batch; ++b) {
    for (int64_t h = 0; h < problem.query_heads; ++h) {
      for (int64_t t = 0; t < problem.query_tokens; ++t, ++row) {
        if (row % workers.size() != workers.rank()) continue;
        const int64_t position = problem.kv_tokens - problem.query_tokens + t;
        const KeyRange visible = problem.mask.VisibleToAny(position, position, 0, problem.kv_tokens);
        const std::vector<double> values = ReferenceAttentionRow(
            q, k, v, b, h, h / (problem.query_heads / problem.kv_heads), t, visible, scale);
        std::copy(values.begin(), values.end(), data.expected.begin() + row * problem.head_dim);
      }
    }
  }
  MPI_Allreduce(MPI_IN_PLACE, data.expected.data(), static_cast<int>(data.expected.size()), MPI_DOUBLE,
                MPI_SUM, workers.handle());
  return data;
}

std::string Name(const TestCase& test_case) {
  const AttentionProblem& problem = test_case.problem;
  return internal::Concatenate(
      Name(test_case.variant), " ", Name(test_case.contract), problem.is_decode() ? " decode" : " prefill",
      " T=", problem.query_tokens, " S=", problem.kv_tokens, " heads=", problem.query_heads, "/",
      problem.kv_heads, " D=", problem.head_dim, " batch=", problem.batch, " mask=", Name(problem.mask),
      " isa=", Name(test_case.options.isa), " threads=", test_case.options.threads,
      test_case.token_major ? " token-major" : " head-major", test_case.in_place ? " in place" : "");
}

TestResult RunTestCase(Communicator& ranks, const TestCase& test_case, const TestData& data) {
  const AttentionProblem& problem = test_case.problem;
  const std::unique_ptr<DistributedAttention> attention =
      MakeDistributedAttention(ranks, problem, test_case.variant, test_case.contract, test_case.options);
  const int64_t first_query = problem.kv_tokens - problem.query_tokens;
  const Shard q = CutOut(problem, attention->query_shard(), test_case.token_major, data.q,
                         problem.query_heads, problem.query_tokens, first_query);
  const TensorShard& kv_shard = attention->key_value_shard();
  const Shard k =
      CutOut(problem, kv_shard, test_case.token_major, data.k, problem.kv_heads, problem.kv_tokens, 0);
  const Shard v =
      CutOut(problem, kv_shard, test_case.token_major, data.v, problem.kv_heads, problem.kv_tokens, 0);
  TensorView given_q = q.view, given_k = k.view, given_v = v.view;
  if (const auto storage = attention->query_storage(); storage && test_case.in_place) {
    given_q = *storage;
    CopyBlock(q.view, given_q);
  }
  if (const auto storage = attention->key_value_storage(); storage && test_case.in_place) {
    given_k = storage->k;
    given_v = storage->v;
    CopyBlock(k.view, given_k);
    CopyBlock(v.view, given_v);
  }
  const TensorShard& output_shard = attention->output_shard();
  const Shard output(problem, output_shard, test_case.token_major);
  TensorView given_output = output.view;
  if (const auto storage = attention->output_storage(); storage && test_case.in_place)
    given_output = *storage;

  TestResult result;
  result.tolerance = Tolerance(problem);
  result.bytes_by_formula = attention->comm_bytes_formula();
  const auto bytes = [&](const TensorShard& shard) {
    return QueryShape(problem, shard.head_count, shard.local_tokens()).elements() *
           static_cast<int64_t>(sizeof(float));
  };
  result.shard_bytes = bytes(attention->query_shard()) + 2 * bytes(kv_shard) + bytes(output_shard);
  result.shard_bytes_by_formula = TensorBytes(attention->plan());
  result.workspace_bytes = static_cast<int64_t>(attention->workspace_bytes());
  result.buffer_bytes_by_formula = ExchangeBufferBytes(attention->plan());
  int64_t before = ranks.traffic().bytes_sent;
  const auto counted = [&] {
    return ranks.traffic().bytes_sent - std::exchange(before, ranks.traffic().bytes_sent);
  };
  if (test_case.run_parts) {
    attention->RunExchangeOnly(given_q, given_k, given_v, given_output);
    result.bytes_exchange_only = counted();
    attention->RunComputeOnly(given_q, given_k, given_v, given_output);
    result.bytes_compute_only = counted();
  }
  if (test_case.begin_apart) {
    Negate(given_v);
    attention->Run(given_q, given_k, given_v, given_output);
    before = ranks.traffic().bytes_sent;
    std::this_thread::sleep_for(std::chrono::milliseconds(10 * (ranks.rank() % 3)));
    Negate(given_v);
  }
  ForEachRow(given_output,
             [](std::span<float> row) { std::ranges::fill(row, std::numeric_limits<float>::quiet_NaN()); });
  attention->Run(given_q, given_k, given_v, given_output);
  result.bytes_sent = counted();

  double error = 0, norm = 0;
  const ConstTensorView view = given_output;
  ForEachShardRow(problem, output_shard, [&](int64_t b, int64_t h, int64_t local, int64_t global) {
    const int64_t row =
        (b * problem.query_heads + output_shard.head_begin + h) * problem.query_tokens + global - first_query;
    for (int64_t d = 0; d < problem.head_dim; ++d) {
      const double expected = data.expected[static_cast<size_t>(row * problem.head_dim + d)];
      const double difference = view.Row<float>(b, h, local)[d] - expected;
      error += difference * difference;
      norm += expected * expected;
    }
  });
  result.relative_l2_error = norm == 0 ? std::sqrt(error) : std::sqrt(error / norm);
  ForEachRow(given_output, [&](std::span<float> row) {
    result.output.insert(result.output.end(), row.begin(), row.end());
  });
  return result;
}

}  // namespace attention
