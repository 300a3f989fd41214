// Few query rows over int8 keys and values, against float64 on what the rows stand for.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "src/attention/attention_state.h"
#include "src/attention/reference_attention.h"
#include "src/base/error.h"
#include "src/base/int8_row.h"
#include "src/kernels/testing/kernel_test_support.h"

namespace attention {
namespace {

// A tensor's rows as int8, head-major.
class Int8Rows {
 public:
  explicit Int8Rows(const ConstTensorView& from)
      : buffer_(static_cast<size_t>(from.shape.batch * from.shape.heads * from.shape.tokens *
                                    RowBytes(DataType::kInt8, from.shape.head_dim))),
        view_(HeadMajorView(buffer_.data(), DataType::kInt8, from.shape)) {
    const TensorShape& shape = from.shape;
    for (int64_t b = 0; b < shape.batch; ++b) {
      for (int64_t h = 0; h < shape.heads; ++h) {
        for (int64_t t = 0; t < shape.tokens; ++t) {
          RoundToInt8Row({from.Row<float>(b, h, t), static_cast<size_t>(shape.head_dim)},
                         view_.Row<int8_t>(b, h, t));
        }
      }
    }
  }
  const TensorView& view() const { return view_; }

 private:
  AlignedBuffer buffer_;
  TensorView view_;
};

class Int8KeyValuesTest : public ::testing::TestWithParam<Isa> {
 protected:
  // Rows of the last tokens of a sequence attend to it, in one step over each of some parts of the keys.
  struct Arrangement {
    TestShape shape;
    int64_t rows = 1;
    int threads = 1;
    std::vector<std::vector<TokenSegment>> steps;
  };

  void RunAndCompare(const Arrangement& arrangement) {
    const TestShape& shape = arrangement.shape;
    TestProblem problem(shape);
    const Int8Rows keys(problem.k()), values(problem.v());
    const int64_t rows = arrangement.rows, first = shape.tokens - rows;
    const TokenSegment queries{0, first, rows};
    BackendConfig config =
        problem.Config(AttentionAlgorithm::kOnlineSoftmax, GetParam(), arrangement.threads);
    config.kept_key_values = DataType::kInt8;
    config.max_query_tokens = rows;
    const auto kernel = MakeAttentionKernel(config);
    AttentionStateBuffer state(shape.batch, shape.heads, rows, shape.head_dim);
    for (size_t i = 0; i < arrangement.steps.size(); ++i) {
      const KeyValueShard key_values[] = {{keys.view(), values.view(), arrangement.steps[i]}};
      AttentionStep step{.query = {problem.q().SliceTokens(first, rows), {&queries, 1}},
                         .key_values = key_values};
      step.state = state.view();
      step.output = problem.output().SliceTokens(first, rows);
      step.first = i == 0;
      step.last = i + 1 == arrangement.steps.size();
      kernel->Accumulate(step);
    }
    const double scale = 1 / std::sqrt(static_cast<double>(shape.head_dim));
    for (int64_t b = 0; b < shape.batch; ++b) {
      for (int64_t h = 0; h < shape.heads; ++h) {
        for (int64_t t = first; t < shape.tokens; ++t) {
          const std::vector<double> expected = ReferenceAttentionRow(
              problem.q(), keys.view(), values.view(), b, h, h / (shape.heads / shape.kv_heads), t,
              shape.mask.VisibleToAny(t, t, 0, shape.tokens), scale);
          // As for float32 keys: narrow windows give outputs of size 1, so this is 5e-6 of their size; a
          // scale that is left out or taken from another row is off by 1e-2 at least.
          for (int64_t d = 0; d < shape.head_dim; ++d) {
            ASSERT_NEAR(problem.output().Row<float>(b, h, t)[d], expected[d], 5e-6)
                << shape.Describe() << " rows " << rows << " threads " << arrangement.threads << " head "
                << h;
          }
        }
      }
    }
  }

  // The last `rows` of batch entry 0 attend to all tokens before them, in one step and on one thread.
  void RunLastRows(TestProblem& problem, const Int8Rows& keys, const Int8Rows& values, int64_t rows = 1) {
    const int64_t tokens = problem.shape().tokens, first = tokens - rows;
    const TokenSegment queries{0, first, rows}, all{0, 0, tokens};
    BackendConfig config = problem.Config(AttentionAlgorithm::kOnlineSoftmax, GetParam());
    config.kept_key_values = DataType::kInt8;
    config.max_query_tokens = rows;
    const KeyValueShard key_values[] = {{keys.view(), values.view(), {&all, 1}}};
    AttentionStep step{.query = {problem.q().SliceTokens(first, rows), {&queries, 1}},
                       .key_values = key_values};
    step.output = problem.output().SliceTokens(first, rows);
    MakeAttentionKernel(config)->Accumulate(step);
  }

  // What float64 makes of a row of one KV head's only group.
  static std::vector<double> Expected(TestProblem& problem, const Int8Rows& keys, const Int8Rows& values,
                                      int64_t head, int64_t token) {
    const TestShape& shape = problem.shape();
    return ReferenceAttentionRow(problem.q(), keys.view(), values.view(), 0, head, 0, token,
                                 shape.mask.VisibleToAny(token, token, 0, shape.tokens),
                                 1 / std::sqrt(static_cast<double>(shape.head_dim)));
  }
};

// Every mask with every number of threads and batch entries; shapes and head_dims go round beside them.
TEST_P(Int8KeyValuesTest, AgreesWithFloat64) {
  struct Columns {
    int64_t group, rows;
  };
  const std::vector<Columns> columns = {{2, 1}, {1, 3}, {8, 1}, {1, 1}, {2, 3}, {5, 1}, {1, 8}};
  const std::vector<int64_t> head_dims = {128, 64, 72, 199, 256, 33};
  size_t cycle = 0;
  for (const Mask& mask :
       {Mask::Causal(), Mask::Full(), Mask::Window(600), Mask::Parse("documents:2000+601")}) {
    for (int threads : {1, 3}) {
      for (int64_t batch : {1, 2}) {
        const auto [group, rows] = columns[cycle % columns.size()];
        const TestShape shape{.batch = batch,
                              .heads = 2 * group,
                              .kv_heads = 2,
                              .tokens = 2601,
                              .head_dim = head_dims[cycle % head_dims.size()],
                              .mask = mask,
                              .mapping = {}};
        ++cycle;
        RunAndCompare({shape, rows, threads, {{{0, 0, 1300}, {1300, 1300, 1301}}}});
        RunAndCompare({shape, rows, threads, {{{2000, 2000, 601}}, {{0, 0, 1100}}, {{1100, 1100, 900}}}});
      }
    }
  }
}

// Every number of columns with whole and broken runs of keys, where rows are whole vectors (which are read
// without being widened where the CPU can) and where they are not.
TEST_P(Int8KeyValuesTest, EveryNumberOfColumnsAndKeys) {
  for (int64_t head_dim : {64, 128, 192, 256, 96}) {
    for (int64_t columns = 1; columns <= kMostInt8Columns; ++columns) {
      for (int64_t tokens : {1, 3, 15, 16, 17, 63, 65, 131}) {
        const TestShape shape{.heads = columns,
                              .kv_heads = 1,
                              .tokens = tokens,
                              .head_dim = head_dim,
                              .mask = Mask::Full(),
                              .mapping = {}};
        RunAndCompare({shape, 1, 1, {{{0, 0, tokens}}}});
      }
    }
  }
}

// Scales of rows differ by orders of magnitude, and one row is nothing.
TEST_P(Int8KeyValuesTest, EachRowHasItsOwnScale) {
  TestProblem problem(
      {.heads = 2, .kv_heads = 1, .tokens = 70, .head_dim = 64, .mask = Mask::Causal(), .mapping = {}});
  for (int64_t t = 0; t < 70; ++t) {
    for (int64_t d = 0; d < 64; ++d) {
      problem.k().Row<float>(0, 0, t)[d] *= t == 7 ? 0.0f : static_cast<float>(std::pow(1.1, t - 40));
      problem.v().Row<float>(0, 0, t)[d] *= static_cast<float>(std::pow(1.2, 30 - t));
    }
  }
  const Int8Rows keys(problem.k()), values(problem.v());
  RunLastRows(problem, keys, values);
  for (int64_t h = 0; h < 2; ++h) {
    const std::vector<double> expected = Expected(problem, keys, values, h, 69);
    double size = 0, error = 0;
    for (int64_t d = 0; d < 64; ++d) {
      size += expected[d] * expected[d];
      error += std::pow(problem.output().Row<float>(0, h, 69)[d] - expected[d], 2);
    }
    // Logits reach some hundreds, where a float32's last place is 2^-16.
    EXPECT_LT(std::sqrt(error / size), 1e-4) << h;
  }
}

// Queries of nothing, queries so small that only very large keys tell, and values so small that their weights
// nearly vanish.
TEST_P(Int8KeyValuesTest, VanishingQueriesAndValues) {
  for (const float query_factor : {0.0f, 0x1p-120f, 1.0f}) {
    for (const float value_factor : {0x1p-110f, 1.0f}) {
      TestProblem problem(
          {.heads = 3, .kv_heads = 1, .tokens = 70, .head_dim = 64, .mask = Mask::Causal(), .mapping = {}});
      for (int64_t t = 0; t < 70; ++t) {
        for (int64_t d = 0; d < 64; ++d) {
          problem.q().Row<float>(0, 1, t)[d] *= query_factor;
          if (query_factor == 0x1p-120f) problem.k().Row<float>(0, 0, t)[d] *= 0x1p118f;
          problem.v().Row<float>(0, 0, t)[d] *= value_factor;
        }
      }
      const Int8Rows keys(problem.k()), values(problem.v());
      RunLastRows(problem, keys, values);
      for (int64_t h = 0; h < 3; ++h) {
        const std::vector<double> expected = Expected(problem, keys, values, h, 69);
        for (int64_t d = 0; d < 64; ++d) {
          EXPECT_NEAR(problem.output().Row<float>(0, h, 69)[d] / value_factor, expected[d] / value_factor,
                      5e-6)
              << query_factor << " " << value_factor << " " << h;
        }
      }
    }
  }
}

// The largest element of a query, scaled to base 2, just below and at a power of two: whole numbers of so
// many bits do not always have as many digits.
TEST_P(Int8KeyValuesTest, LargestElementsNearPowersOfTwo) {
  for (const double largest : {0.5 * 0.99, 0.5 * 0.997, 0.5 * 0.9999, 0.5 * (1 - 0x1p-24), 0.5}) {
    TestProblem problem(
        {.heads = 2, .kv_heads = 1, .tokens = 70, .head_dim = 64, .mask = Mask::Causal(), .mapping = {}});
    for (int64_t d = 0; d < 64; ++d) problem.q().Row<float>(0, 1, 69)[d] *= 0.25f;
    problem.q().Row<float>(0, 1, 69)[5] = static_cast<float>(largest * 8 * std::numbers::ln2);
    problem.q().Row<float>(0, 1, 69)[60] = -problem.q().Row<float>(0, 1, 69)[5];
    const Int8Rows keys(problem.k()), values(problem.v());
    RunLastRows(problem, keys, values);
    for (int64_t h = 0; h < 2; ++h) {
      const std::vector<double> expected = Expected(problem, keys, values, h, 69);
      for (int64_t d = 0; d < 64; ++d) {
        EXPECT_NEAR(problem.output().Row<float>(0, h, 69)[d], expected[d], 5e-6) << largest << " " << h;
      }
    }
  }
}

// A query with an infinity has a NaN for its output; its neighbours do not notice.
TEST_P(Int8KeyValuesTest, NonFiniteQueriesStayAmongThemselves) {
  for (const float bad : {INFINITY, -INFINITY, std::nanf("")}) {
    TestProblem problem(
        {.heads = 3, .kv_heads = 1, .tokens = 70, .head_dim = 128, .mask = Mask::Causal(), .mapping = {}});
    problem.q().Row<float>(0, 1, 69)[100] = bad;
    const Int8Rows keys(problem.k()), values(problem.v());
    RunLastRows(problem, keys, values);
    for (int64_t h = 0; h < 3; ++h) {
      const std::vector<double> expected = Expected(problem, keys, values, h, 69);
      for (int64_t d = 0; d < 128; ++d) {
        const float found = problem.output().Row<float>(0, h, 69)[d];
        if (h == 1) {
          EXPECT_TRUE(std::isnan(found)) << bad;
        } else {
          EXPECT_NEAR(found, expected[d], 5e-6) << bad;
        }
      }
    }
  }
}

// A row with an infinity is NaN, and so is what sees it; what does not is as if it were not there.
TEST_P(Int8KeyValuesTest, NonFiniteRowsReachOnlyWhoSeesThem) {
  for (const auto& [of_keys, head_dim] : {std::pair(true, 32), {false, 32}, {true, 64}, {false, 64}}) {
    TestProblem problem({.heads = 1,
                         .kv_heads = 1,
                         .tokens = 90,
                         .head_dim = head_dim,
                         .mask = Mask::Window(20),
                         .mapping = {}});
    (of_keys ? problem.k() : problem.v()).Row<float>(0, 0, 69)[3] = INFINITY;
    const Int8Rows keys(problem.k()), values(problem.v());
    RunLastRows(problem, keys, values, 3);
    for (int64_t t = 87; t < 90; ++t) {
      const std::vector<double> expected = Expected(problem, keys, values, 0, t);
      for (int64_t d = 0; d < head_dim; ++d) {
        const float found = problem.output().Row<float>(0, 0, t)[d];
        if (t < 89) {
          EXPECT_TRUE(std::isnan(found)) << of_keys << " " << t;
        } else {
          EXPECT_NEAR(found, expected[d], 5e-6) << of_keys;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Int8KeyValuesTest, ::testing::ValuesIn(SupportedIsas()),
                         [](const auto& info) { return std::string(Name(info.param)); });

TEST(Int8ConfigTest, WhatDoesNotReadInt8SaysSo) {
  TestProblem problem(
      {.heads = 3, .kv_heads = 1, .tokens = 10, .head_dim = 16, .mask = Mask::Causal(), .mapping = {}});
  const auto refusal = [&](AttentionAlgorithm algorithm, int64_t rows, DataType queries, DataType keys) {
    BackendConfig config = problem.Config(algorithm, Isa::kScalar);
    config.max_query_tokens = rows;
    config.data_type = queries;
    config.kept_key_values = keys;
    try {
      MakeAttentionKernel(config);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  constexpr auto kOnline = AttentionAlgorithm::kOnlineSoftmax;
  EXPECT_EQ(refusal(kOnline, 2, DataType::kFloat32, DataType::kInt8), "");
  EXPECT_EQ(refusal(kOnline, 3, DataType::kFloat32, DataType::kInt8),
            "9 query rows per KV head over int8 keys; at most 8");
  EXPECT_EQ(refusal(AttentionAlgorithm::kStandard, 1, DataType::kFloat32, DataType::kInt8),
            "standard does not read int8 keys; online_softmax does");
  EXPECT_EQ(refusal(kOnline, 1, DataType::kBfloat16, DataType::kInt8), "queries of bf16 over keys of int8");
  EXPECT_EQ(refusal(kOnline, 1, DataType::kFloat32, DataType::kBfloat16),
            "queries of fp32 over keys of bf16");
}

}  // namespace
}  // namespace attention
