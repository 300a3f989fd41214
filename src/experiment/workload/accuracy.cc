#include "src/experiment/workload/accuracy.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <set>

#include "src/attention/reference_attention.h"
#include "src/base/aligned_buffer.h"
#include "src/base/counter_random.h"
#include "src/base/error.h"
#include "src/mpi/agreement.h"
#include "src/parallel/partition/token_dealing.h"
#include "src/qwen3/decoder/decoder_inputs.h"
#include "src/qwen3/decoder/decoder_reference.h"

namespace attention {
namespace {

constexpr uint64_t kRowStream = 5;

// One KV head's keys and values of the whole sequence, and the query rows that read it.
class ReferenceUnit {
 public:
  ReferenceUnit(const AttentionProblem& problem, const InputData& data, int64_t batch, int64_t kv_head)
      : problem_(problem), data_(data), batch_(batch) {
    const int64_t bytes = CheckedProduct(problem.kv_tokens * problem.head_dim,
                                         static_cast<int64_t>(SizeOf(problem.data_type)), "a head's keys");
    key_ = AlignedBuffer(static_cast<size_t>(bytes));
    value_ = AlignedBuffer(static_cast<size_t>(bytes));
    const TensorShape shape{1, 1, problem.kv_tokens, problem.head_dim};
    k_ = HeadMajorView(key_.data(), problem.data_type, shape);
    v_ = HeadMajorView(value_.data(), problem.data_type, shape);
    const TokenSegment all[] = {{0, 0, problem.kv_tokens}};
    data.FillKey(k_, batch, kv_head, all);
    data.FillValue(v_, batch, kv_head, all);
  }

  void ComputeRow(int64_t query_head, int64_t row, double* out) const {
    const int64_t position = problem_.kv_tokens - problem_.query_tokens + row;
    std::vector<float> buffer(problem_.head_dim);
    const TensorView q =
        HeadMajorView(buffer.data(), problem_.data_type, TensorShape{1, 1, 1, problem_.head_dim});
    const TokenSegment one[] = {{0, position, 1}};
    data_.FillQuery(q, batch_, query_head, one);
    const KeyRange visible = problem_.mask.VisibleToAny(position, position, 0, problem_.kv_tokens);
    const double scale = 1.0 / std::sqrt(static_cast<double>(problem_.head_dim));
    const std::vector<double> values = ReferenceAttentionRow(q, k_, v_, 0, 0, 0, 0, visible, scale);
    std::copy(values.begin(), values.end(), out);
  }

 private:
  const AttentionProblem& problem_;
  const InputData& data_;
  int64_t batch_;
  AlignedBuffer key_, value_;
  TensorView k_, v_;
};

struct RowErrors {
  double max_abs = 0;
  double relative = 0;
};

RowErrors CompareRow(const float* row, const double* reference, int64_t head_dim) {
  RowErrors errors;
  double squared = 0, norm = 0;
  for (int64_t d = 0; d < head_dim; ++d) {
    const double difference = row[d] - reference[d];
    errors.max_abs = std::max(errors.max_abs, std::fabs(difference));
    squared += difference * difference;
    norm += reference[d] * reference[d];
  }
  errors.relative = norm > 0 ? std::sqrt(squared / norm) : std::sqrt(squared);
  // max() passes over NaN; a broken row must not look perfect.
  if (!std::isfinite(squared)) errors.max_abs = errors.relative = std::numeric_limits<double>::infinity();
  return errors;
}

int64_t CountNonfinite(const ConstTensorView& output) {
  int64_t count = 0;
  for (int64_t b = 0; b < output.shape.batch; ++b) {
    for (int64_t h = 0; h < output.shape.heads; ++h) {
      for (int64_t t = 0; t < output.shape.tokens; ++t) {
        const float* row = output.Row<float>(b, h, t);
        for (int64_t d = 0; d < output.shape.head_dim; ++d) count += std::isfinite(row[d]) ? 0 : 1;
      }
    }
  }
  return count;
}

}  // namespace

double RelativeTolerance(const AttentionProblem& problem, InputDataKind data) {
  if (problem.data_type == DataType::kBfloat16) return 0x1.0p-8;
  const double unit = 0x1.0p-24;
  const double logit_scale = data == InputDataKind::kGaussian ? 1 : 23;
  const double n = static_cast<double>(problem.kv_tokens);
  const double derived =
      unit * (std::sqrt(static_cast<double>(problem.head_dim)) * (1 + logit_scale) + std::sqrt(n) + 8);
  const double cap = 5e-6 * std::max(1.0, std::sqrt(n / 8192));
  return std::min(derived, cap);
}

double CellTolerance(const Cell& cell) {
  if (cell.scope == Scope::kAttention) return RelativeTolerance(cell.problem, cell.data);
  const double layers = cell.scope == Scope::kModel ? static_cast<double>(cell.model.layers) : 1;
  const int rounds = (cell.precision.activations != DataType::kFloat32 ? 1 : 0) +
                     (cell.precision.kv_cache != DataType::kFloat32 ? 1 : 0);
  return (rounds == 0 ? 5e-6 : 0x1.0p-8 * std::sqrt(rounds)) * std::sqrt(layers);
}

std::vector<int64_t> SampleRows(const std::vector<int64_t>& borders, int64_t query_tokens, int count,
                                uint64_t seed, int64_t head) {
  std::set<int64_t> rows;
  for (int64_t row : borders) {
    if (row >= 0 && row < query_tokens) rows.insert(row);
  }
  const int64_t wanted = std::min<int64_t>(query_tokens, std::max<int64_t>(count, rows.size()));
  for (uint64_t i = 0; static_cast<int64_t>(rows.size()) < wanted; ++i) {
    const uint64_t bits = RandomBits(seed + static_cast<uint64_t>(head), kRowStream, i);
    rows.insert(static_cast<int64_t>(bits % static_cast<uint64_t>(query_tokens)));
  }
  return {rows.begin(), rows.end()};
}

std::vector<int64_t> BorderRows(const Mask& mask, int64_t query_tokens, int ranks,
                                const std::vector<TileSizes>& tiles) {
  std::set<int64_t> rows = {0, query_tokens - 1};
  const auto add_border = [&](int64_t border) {
    for (int64_t row : {border - 1, border}) {
      if (row >= 0 && row < query_tokens) rows.insert(row);
    }
  };
  constexpr int64_t kMaximumChunks = 32;
  for (int64_t chunks : {int64_t{ranks}, int64_t{2} * ranks}) {
    const int64_t step = (chunks + kMaximumChunks - 1) / kMaximumChunks;
    // Chunk c of n begins at floor(c S / n) or, with the remainder dealt to the first ones, nearby: both.
    for (int64_t c = step; c < chunks; c += step) {
      add_border(c * query_tokens / chunks);
      add_border(c * (query_tokens / chunks) + std::min(c, query_tokens % chunks));
    }
  }
  if (mask.kind() == MaskKind::kDocuments && mask.WhyInvalid(query_tokens).empty()) {
    constexpr size_t kMaximumRuns = 8;
    std::vector<int64_t> begins;
    for (const TokenSegments& share : DealBalanced(mask, query_tokens, ranks)) {
      for (const TokenSegment& run : share) begins.push_back(run.global_begin);
    }
    begins.resize(std::min(begins.size(), kMaximumRuns));
    for (int64_t begin : begins) add_border(begin);
  }
  // Tiles of keys are counted from the first key: behind a cache these rows are as good as any.
  for (const TileSizes& sizes : tiles) {
    for (int64_t block : {sizes.q_block, sizes.kv_block}) {
      if (block <= 0 || block >= query_tokens) continue;
      const int64_t last = (query_tokens - 1) / block;
      for (int64_t index : {int64_t{1}, (last + 1) / 2, last}) add_border(index * block);
    }
  }
  return {rows.begin(), rows.end()};
}

AccuracyReference::AccuracyReference(const Communicator& communicator, const Cell& cell,
                                     const std::vector<int64_t>& borders, int rows_per_head,
                                     const CellWeights* weights)
    : problem_(cell.problem) {
  if (cell.scope == Scope::kAttention) {
    ChooseRows(borders, rows_per_head, cell.seed);
    ComputeAttention(communicator, cell);
  } else {
    Require(weights != nullptr, "accuracy: scope ", Name(cell.scope), " needs weights");
    problem_.query_heads = problem_.kv_heads = 1;
    problem_.head_dim = cell.scope == Scope::kModel ? cell.model.vocabulary_size : cell.model.hidden_size;
    if (cell.scope == Scope::kModel) problem_.query_tokens = 1;
    ChooseRows(borders, rows_per_head, cell.seed);
    ComputeDecoder(communicator, cell, *weights);
  }
  SumOverRanks(communicator);
}

void AccuracyReference::ChooseRows(const std::vector<int64_t>& borders, int rows_per_head, uint64_t seed) {
  const int64_t heads = problem_.batch * problem_.query_heads;
  size_t total = 0;
  for (int64_t head = 0; head < heads; ++head) {
    rows_.push_back(SampleRows(borders, problem_.query_tokens, rows_per_head, seed, head));
    offsets_.push_back(total);
    total += rows_.back().size();
  }
  values_.assign(total * problem_.head_dim, 0.0);
}

void AccuracyReference::ComputeAttention(const Communicator& communicator, const Cell& cell) {
  const InputData data(problem_, cell.data, cell.seed);
  AgreeOnErrors(communicator, [&] {
    const int64_t units = problem_.batch * problem_.kv_heads;
    for (int64_t unit = communicator.rank(); unit < units; unit += communicator.size()) {
      ComputeUnit(data, unit / problem_.kv_heads, unit % problem_.kv_heads, cell.threads);
    }
  });
}

void AccuracyReference::ComputeDecoder(const Communicator& communicator, const Cell& cell,
                                       const CellWeights& weights) {
  ReferenceSetup setup;
  setup.config = weights.config();
  setup.source = &weights.source();
  setup.weight_type = cell.problem.data_type;
  setup.precision = cell.precision;
  setup.batch = cell.problem.batch;
  setup.tokens = cell.seq_len;
  setup.mask = cell.problem.mask;
  setup.threads = cell.threads;
  setup.cached = CachedTokensOf(cell, setup.config);
  const DecoderReference reference(communicator, setup);
  if (cell.scope == Scope::kModel) {
    std::vector<int64_t> ids;
    for (int64_t row = 0; row < setup.batch * setup.tokens; ++row) {
      ids.push_back(SeededTokenId(cell.seed, row, setup.config.vocabulary_size));
    }
    const std::vector<double> logits = reference.LastTokenLogits(ids);
    if (communicator.rank() == 0) values_ = logits;
    return;
  }
  const IndexRange own = reference.own_tokens();
  const int64_t width = setup.config.hidden_size, first = problem_.kv_tokens - problem_.query_tokens;
  std::vector<double> hidden;
  std::vector<float> row(static_cast<size_t>(width));
  for (int64_t b = 0; b < setup.batch; ++b) {
    for (int64_t t = own.begin; t < own.end; ++t) {
      FillHiddenRow(cell.seed, b * setup.tokens + t, row);
      hidden.insert(hidden.end(), row.begin(), row.end());
    }
  }
  // The rows of any batch entry are computed for all of them: one pass over the weights.
  std::set<int64_t> wanted;
  for (const std::vector<int64_t>& rows : rows_) {
    for (int64_t sampled : rows) wanted.insert(first + sampled);
  }
  const std::vector<int64_t> positions(wanted.begin(), wanted.end());
  const std::vector<double> result = cell.scope == Scope::kBlock ? reference.Block(0, hidden, positions)
                                                                 : reference.Layer(0, hidden, positions);
  std::vector<int64_t> own_positions;
  std::ranges::copy_if(positions, std::back_inserter(own_positions),
                       [&](int64_t position) { return position >= own.begin && position < own.end; });
  for (int64_t b = 0; b < setup.batch; ++b) {
    for (size_t i = 0; i < rows_[b].size(); ++i) {
      const auto found = std::ranges::find(own_positions, first + rows_[b][i]);
      if (found == own_positions.end()) continue;
      const int64_t index = b * static_cast<int64_t>(own_positions.size()) + (found - own_positions.begin());
      std::copy_n(&result[index * width], width, &values_[(offsets_[b] + i) * width]);
    }
  }
}

// Every row was computed by one rank and is 0 elsewhere; at most 2^20 values a call, far below MPI's limit.
void AccuracyReference::SumOverRanks(const Communicator& communicator) {
  constexpr size_t kChunk = size_t{1} << 20;
  for (size_t begin = 0; begin < values_.size(); begin += kChunk) {
    const int count = static_cast<int>(std::min(kChunk, values_.size() - begin));
    MPI_Allreduce(MPI_IN_PLACE, values_.data() + begin, count, MPI_DOUBLE, MPI_SUM, communicator.handle());
  }
}

void AccuracyReference::ComputeUnit(const InputData& data, int64_t batch, int64_t kv_head, int threads) {
  const ReferenceUnit unit(problem_, data, batch, kv_head);
  const int64_t group = problem_.group_size();
  for (int64_t member = 0; member < group; ++member) {
    const int64_t query_head = kv_head * group + member;
    const int64_t head = batch * problem_.query_heads + query_head;
    const int64_t count = static_cast<int64_t>(rows_[head].size());
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t i = 0; i < count; ++i) {
      unit.ComputeRow(query_head, rows_[head][i], &values_[(offsets_[head] + i) * problem_.head_dim]);
    }
  }
}

AccuracyResult AccuracyReference::Compare(const Communicator& communicator, const ConstTensorView& output,
                                          const TensorShard& shard) const {
  AccuracyResult result;
  result.nonfinite = CountNonfinite(output);
  const int64_t first_position = problem_.kv_tokens - problem_.query_tokens;
  for (int64_t b = 0; b < problem_.batch; ++b) {
    for (int64_t h = 0; h < shard.head_count; ++h) {
      const int64_t head = b * problem_.query_heads + shard.head_begin + h;
      for (size_t i = 0; i < rows_[head].size(); ++i) {
        const int64_t position = first_position + rows_[head][i];
        for (const TokenSegment& segment : shard.segments) {
          const int64_t within = position - segment.global_begin;
          if (within < 0 || within >= segment.length) continue;
          const RowErrors errors =
              CompareRow(output.Row<float>(b, h, segment.local_begin + within),
                         &values_[(offsets_[head] + i) * problem_.head_dim], problem_.head_dim);
          result.max_abs_err = std::max(result.max_abs_err, errors.max_abs);
          result.rel_l2_err = std::max(result.rel_l2_err, errors.relative);
          ++result.rows;
        }
      }
    }
  }
  result.max_abs_err = communicator.Max(result.max_abs_err);
  result.rel_l2_err = communicator.Max(result.rel_l2_err);
  result.nonfinite = communicator.Sum(result.nonfinite);
  result.rows = communicator.Sum(result.rows);
  const int64_t sampled = static_cast<int64_t>(values_.size()) / problem_.head_dim;
  if (result.rows < sampled) {
    Fail("only ", result.rows, " of ", sampled, " sampled rows of the output are on any rank");
  }
  return result;
}

}  // namespace attention
