#include "src/kernels/few_queries.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <numbers>

#include "src/kernels/row_repair.h"

namespace attention {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
// One run of K, then one of V: 1 MB each at head_dim 128. Short runs break up the hardware's streams (64 keys
// reach half the bandwidth).
constexpr int64_t kKeysPerRun = 2048;
// A split shorter than this is not worth its merge.
constexpr int64_t kLeastKeysPerSplit = 512;
// Items per thread: evens out threads that start late.
constexpr int64_t kItemsPerThread = 4;

}  // namespace

FewQueries::FewQueries(const BackendConfig& config, const TileKernels& kernels,
                       std::span<const HeadGroup> groups)
    : config_(config),
      kernels_(kernels),
      groups_(groups),
      max_columns_(std::min<int64_t>(kMaxColumns, kernels.lanes / 2)),
      workers_(config.threads) {
  const int64_t units = std::max<int64_t>(1, config.batch * static_cast<int64_t>(groups.size()));
  max_splits_ = config.threads == 1 ? 1 : CeilDivide(config.threads * kItemsPerThread, units);
  partials_.resize(units * max_splits_);
}

bool FewQueries::Fits(const AttentionStep& step) const {
  return CountTokens(step.query.segments) * LargestGroup(groups_) <= max_columns_;
}

bool FewQueries::AlwaysFits() const {
  return config_.max_query_tokens * LargestGroup(groups_) <= max_columns_;
}

void FewQueries::LayOut(Workspace& workspace) {
  if (max_columns_ == 0) return;
  for (Worker& worker : workers_) {
    worker.q = workspace.Take<float>(kMaxColumns * config_.head_dim);
    worker.scores = workspace.Take<float>(kMaxColumns * kKeysPerRun);
  }
  for (Partial& partial : partials_) {
    partial.o = workspace.Take<float>(kMaxColumns * config_.head_dim);
    partial.m = workspace.Take<float>(kMaxColumns);
    partial.l = workspace.Take<float>(kMaxColumns);
  }
}

int64_t FewQueries::Splits(int64_t keys) const {
  return std::clamp<int64_t>(keys / kLeastKeysPerSplit, 1, max_splits_);
}

int64_t FewQueries::FillColumns(const AttentionStep& step, const HeadGroup& group, Column* columns) const {
  int64_t count = 0;
  for (const TokenSegment& segment : step.query.segments) {
    for (int64_t i = 0; i < segment.length; ++i) {
      for (int64_t head = group.first_head; head < group.first_head + group.heads; ++head) {
        columns[count++] = {head, segment.local_begin + i, segment.global_begin + i};
      }
    }
  }
  return count;
}

void FewQueries::Run(const AttentionStep& step) {
  if (!step.has_next()) return RunShard(step);
  AttentionStep half = step;
  half.next_key_value = {};
  half.last = false;
  RunShard(half);
  half.key_value = step.next_key_value;
  half.first = false;
  half.last = step.last;
  RunShard(half);
}

void FewQueries::RunShard(const AttentionStep& step) {
  const std::span<const HeadGroup> step_groups = GroupsOfStep(groups_, step);
  const int64_t groups = static_cast<int64_t>(step_groups.size());
  const int64_t units = config_.batch * groups;
  const int64_t keys = CountTokens(step.key_value.segments);
  const int64_t splits = Splits(keys);
  std::atomic<int64_t> next{0};
#pragma omp parallel num_threads(config_.threads) if (config_.threads > 1)
  {
    Worker& worker = workers_[omp_get_thread_num()];
    worker.meter = ProgressMeter(omp_get_thread_num() == 0 ? step.progress : Progress{}, config_.isa);
    for (int64_t item = next++; item < units * splits; item = next++) {
      const int64_t unit = item / splits, split = item % splits;
      RunSplit(step, unit / groups, step_groups[unit % groups], keys * split / splits,
               keys * (split + 1) / splits, worker, partials_[unit * max_splits_ + split]);
    }
    barrier_.Wait(omp_get_num_threads(), worker.meter);
  }
  for (int64_t unit = 0; unit < units; ++unit) {
    Finish(step, unit / groups, step_groups[unit % groups], std::span(&partials_[unit * max_splits_], splits),
           workers_[0].meter);
  }
  step.progress();
}

void FewQueries::RunSplit(const AttentionStep& step, int64_t batch, const HeadGroup& group, int64_t begin,
                          int64_t end, Worker& worker, const Partial& partial) const {
  std::array<Column, kMaxColumns> columns;
  const int64_t count = FillColumns(step, group, columns.data());
  const float scale = Base2Scale(config_);
  for (int64_t c = 0; c < count; ++c) {
    float* q = worker.q + c * config_.head_dim;
    for (int64_t d = 0; d < config_.head_dim; ++d) {
      q[d] = scale * ElementAsFloat(step.query.q, batch, columns[c].head, columns[c].row, d);
    }
  }
  std::fill_n(partial.o, count * config_.head_dim, 0.0f);
  std::fill_n(partial.m, count, kMinusInfinity);
  std::fill_n(partial.l, count, 0.0f);
  int64_t segment_begin = 0;
  for (const TokenSegment& segment : step.key_value.segments) {
    const int64_t first = std::max<int64_t>(0, begin - segment_begin);
    const int64_t last = std::min(segment.length, end - segment_begin);
    for (int64_t key = first; key < last; key += kKeysPerRun) {
      RunKeys(step, batch, group.kv_head,
              {segment.local_begin + key, segment.global_begin + key, std::min(kKeysPerRun, last - key)},
              std::span(columns.data(), count), worker, partial);
    }
    segment_begin += segment.length;
  }
}

void FewQueries::RunKeys(const AttentionStep& step, int64_t batch, int64_t kv_head, const TokenSegment& keys,
                         std::span<const Column> columns, Worker& worker, const Partial& partial) const {
  std::array<int64_t, kMaxColumns> visible{};
  int64_t most = 0;
  for (size_t c = 0; c < columns.size(); ++c) {
    visible[c] = VisibleKeys(config_.causal, columns[c].position, keys.global_begin, keys.length);
    most = std::max(most, visible[c]);
  }
  if (most == 0) return;
  const int64_t count = static_cast<int64_t>(columns.size());
  const int64_t piece = KeysPerPiece(most, count);
  for (int64_t begin = 0; begin < most; begin += piece) {
    const int64_t piece_keys = std::min(piece, most - begin);
    worker.meter.Before(Microseconds(piece_keys, count));
    kernels_.few_scores({.k = RowAddress(step.key_value.k, batch, kv_head, keys.local_begin + begin),
                         .k_stride = step.key_value.k.token_stride,
                         .keys = piece_keys,
                         .q = worker.q,
                         .columns = count,
                         .head_dim = config_.head_dim,
                         .scores = worker.scores + begin,
                         .scores_stride = kKeysPerRun});
  }
  for (int64_t c = 0; c < count; ++c) {
    worker.meter.BeforeFlops(kFlopsPerExponential * static_cast<double>(most));
    const float rescale =
        kernels_.few_softmax(worker.scores + c * kKeysPerRun, visible[c], most, partial.m + c, partial.l + c);
    float* o = partial.o + c * config_.head_dim;
    if (rescale != 1.0f) {
      for (int64_t d = 0; d < config_.head_dim; ++d) o[d] *= rescale;
    }
  }
  for (int64_t begin = 0; begin < most; begin += piece) {
    const int64_t piece_keys = std::min(piece, most - begin);
    worker.meter.Before(Microseconds(piece_keys, count));
    kernels_.few_weighted_sum({.scores = worker.scores + begin,
                               .scores_stride = kKeysPerRun,
                               .columns = count,
                               .v = RowAddress(step.key_value.v, batch, kv_head, keys.local_begin + begin),
                               .v_stride = step.key_value.v.token_stride,
                               .keys = piece_keys,
                               .head_dim = config_.head_dim,
                               .o = partial.o});
  }
}

// Bound by memory, or with many columns by a loop that reaches a quarter of the products' rate.
double FewQueries::Microseconds(int64_t keys, int64_t columns) const {
  const double elements = static_cast<double>(keys * config_.head_dim);
  const double bytes = elements * static_cast<double>(SizeOf(config_.data_type));
  const double flops = 2 * elements * static_cast<double>(columns);
  return std::max(bytes / kSlowBytesPerMicrosecond, 4 * flops / SlowFlopsPerMicrosecond(config_.isa));
}

int64_t FewQueries::KeysPerPiece(int64_t keys, int64_t columns) const {
  constexpr int64_t kGranule = 32;  // whole vectors, and whole runs of few_weighted_sum
  const int64_t most = static_cast<int64_t>(kProgressMicroseconds / Microseconds(1, columns));
  const int64_t bound = std::max(kGranule, most / kGranule * kGranule);
  return std::min(bound, RoundUp(CeilDivide(keys, CeilDivide(keys, bound)), kGranule));
}

void FewQueries::Finish(const AttentionStep& step, int64_t batch, const HeadGroup& group,
                        std::span<const Partial> partials, ProgressMeter& meter) const {
  const int64_t head_dim = config_.head_dim;
  std::array<Column, kMaxColumns> columns;
  const int64_t count = FillColumns(step, group, columns.data());
  std::array<float, 256> sum;
  for (int64_t c = 0; c < count; ++c) {
    const Column& column = columns[c];
    meter.BeforeBytes(static_cast<double>(4 * head_dim * static_cast<int64_t>(partials.size() + 2)));
    const int64_t index = step.first ? 0 : step.state.RowIndex(batch, column.head, column.row);
    float m = step.first ? kMinusInfinity : step.state.m[index] * std::numbers::log2e_v<float>;
    const float old_m = m;
    for (const Partial& partial : partials) m = std::max(m, partial.m[c]);
    // A part that saw nothing weighs nothing; (-inf) - (-inf) is never formed.
    const auto weight = [&](float part_m) { return part_m == kMinusInfinity ? 0.0f : std::exp2(part_m - m); };
    float l = step.first ? 0.0f : step.state.l[index] * weight(old_m);
    for (int64_t d = 0; d < head_dim; ++d) {
      sum[d] = step.first ? 0.0f : step.state.o.Row<float>(batch, column.head, column.row)[d] * weight(old_m);
    }
    for (const Partial& partial : partials) {
      const float factor = weight(partial.m[c]);
      l += partial.l[c] * factor;
      for (int64_t d = 0; d < head_dim; ++d) sum[d] += partial.o[c * head_dim + d] * factor;
    }
    bool finite = std::isfinite(l);
    for (int64_t d = 0; d < head_dim; ++d) finite = finite && std::isfinite(sum[d]);
    if (!finite) {
      RepairRow(config_, step, batch, column.head, column.row, column.position, meter);
      continue;
    }
    const float factor = !step.last ? 1.0f : (l == 0.0f ? 0.0f : 1.0f / l);
    float* to = (step.last ? step.output : step.state.o).Row<float>(batch, column.head, column.row);
    for (int64_t d = 0; d < head_dim; ++d) to[d] = sum[d] * factor;
    if (!step.last) {
      const int64_t out = step.state.RowIndex(batch, column.head, column.row);
      step.state.m[out] = m * std::numbers::ln2_v<float>;
      step.state.l[out] = l;
    }
  }
}

}  // namespace attention
