#include "src/kernels/few_queries.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>

#include "src/attention/row_state.h"
#include "src/kernels/row_repair.h"

namespace attention {
namespace {

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
      // There is no other way for int8 rows.
      max_columns_(reads_int8() ? kMaxColumns : std::min<int64_t>(kMaxColumns, kernels.lanes / 2)),
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
    worker.packed_q = workspace.Take<std::byte>(kMaxColumns * kernels_.few_query_bytes);
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
  if (step.key_values.size() <= 1) return RunShard(step);
  for (size_t index = 0; index < step.key_values.size(); ++index) RunShard(step.OfShard(index));
}

std::span<const TokenSegment> FewQueries::Segments(const AttentionStep& step) {
  return step.key_values.empty() ? std::span<const TokenSegment>() : step.key_values.front().segments;
}

KeyRange FewQueries::VisibleKeys(const TokenSegment& segment, const PositionRange& queries) const {
  return config_.mask.VisibleToAny(queries.first, queries.last, segment.global_begin, segment.length);
}

void FewQueries::RunShard(const AttentionStep& step) {
  const std::span<const HeadGroup> step_groups = GroupsOfStep(groups_, step);
  const int64_t groups = static_cast<int64_t>(step_groups.size());
  const int64_t units = config_.batch * groups;
  const PositionRange queries = PositionsOf(step.query);
  int64_t keys = 0;
  for (const TokenSegment& segment : Segments(step)) keys += VisibleKeys(segment, queries).size();
  const int64_t splits = Splits(keys);
  std::atomic<int64_t> next{0};
#pragma omp parallel num_threads(config_.threads) if (config_.threads > 1)
  {
    Worker& worker = workers_[omp_get_thread_num()];
    worker.meter = ProgressMeter(omp_get_thread_num() == 0 ? step.progress : Progress{}, config_.isa);
    for (int64_t item = next++; item < units * splits; item = next++) {
      const int64_t unit = item / splits, split = item % splits;
      RunSplit(step, queries, unit / groups, step_groups[unit % groups], keys * split / splits,
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

void FewQueries::RunSplit(const AttentionStep& step, const PositionRange& queries, int64_t batch,
                          const HeadGroup& group, int64_t begin, int64_t end, Worker& worker,
                          const Partial& partial) const {
  std::array<Column, kMaxColumns> columns;
  const int64_t count = FillColumns(step, group, columns.data());
  const float scale = Base2Scale(config_);
  for (int64_t c = 0; c < count; ++c) {
    float* q = worker.q + c * config_.head_dim;
    for (int64_t d = 0; d < config_.head_dim; ++d) {
      q[d] = scale * ElementAsFloat(step.query.q, batch, columns[c].head, columns[c].row, d);
    }
  }
  if (kernels_.pack_few_queries != nullptr) {
    kernels_.pack_few_queries(worker.q, count, config_.head_dim, worker.packed_q);
  }
  std::fill_n(partial.o, count * config_.head_dim, 0.0f);
  std::fill_n(partial.m, count, Base2Row::kEmpty);
  std::fill_n(partial.l, count, 0.0f);
  int64_t counted = 0;  // visible keys of the segments before
  for (const TokenSegment& segment : Segments(step)) {
    const KeyRange seen = VisibleKeys(segment, queries);
    const int64_t first = seen.begin + std::max<int64_t>(0, begin - counted);
    const int64_t last = seen.begin + std::min(seen.size(), end - counted);
    for (int64_t key = first; key < last; key += kKeysPerRun) {
      RunKeys(step, batch, group.kv_head,
              {segment.local_begin + key, segment.global_begin + key, std::min(kKeysPerRun, last - key)},
              std::span(columns.data(), count), worker, partial);
    }
    counted += seen.size();
  }
}

void FewQueries::RunKeys(const AttentionStep& step, int64_t batch, int64_t kv_head, const TokenSegment& keys,
                         std::span<const Column> columns, Worker& worker, const Partial& partial) const {
  std::array<KeyRange, kMaxColumns> visible{};
  int64_t most = 0;
  for (size_t c = 0; c < columns.size(); ++c) {
    const int64_t position = columns[c].position;
    visible[c] = config_.mask.VisibleToAny(position, position, keys.global_begin, keys.length);
    most = std::max(most, visible[c].end);
  }
  if (most == 0) return;
  const int64_t count = static_cast<int64_t>(columns.size());
  const int64_t piece = KeysPerPiece(most, count);
  const ConstTensorView &k = step.key_values.front().k, &v = step.key_values.front().v;
  for (int64_t begin = 0; begin < most; begin += piece) {
    const int64_t end = std::min(begin + piece, most);
    worker.meter.Before(Microseconds(end - begin, count));
    kernels_.few_scores({.k = RowAddress(k, batch, kv_head, keys.local_begin + begin),
                         .k_stride = k.token_stride,
                         .keys = end - begin,
                         .q = worker.q,
                         .packed_q = worker.packed_q,
                         .columns = count,
                         .head_dim = config_.head_dim,
                         .scores = worker.scores + begin,
                         .scores_stride = kKeysPerRun});
  }
  for (int64_t c = 0; c < count; ++c) {
    worker.meter.BeforeFlops(kFlopsPerExponential * static_cast<double>(most));
    float* scores = worker.scores + c * kKeysPerRun;
    std::fill_n(scores, visible[c].begin, Base2Row::kEmpty);
    const float rescale = kernels_.few_softmax(scores, visible[c].end, most, partial.m + c, partial.l + c);
    float* o = partial.o + c * config_.head_dim;
    if (rescale != 1.0f) {
      for (int64_t d = 0; d < config_.head_dim; ++d) o[d] *= rescale;
    }
  }
  for (int64_t begin = 0; begin < most; begin += piece) {
    const int64_t end = std::min(begin + piece, most);
    worker.meter.Before(Microseconds(end - begin, count));
    kernels_.few_weighted_sum({.scores = worker.scores + begin,
                               .scores_stride = kKeysPerRun,
                               .columns = count,
                               .v = RowAddress(v, batch, kv_head, keys.local_begin + begin),
                               .v_stride = v.token_stride,
                               .keys = end - begin,
                               .head_dim = config_.head_dim,
                               .o = partial.o});
  }
}

// Bound by memory, or with many columns by a loop that reaches a quarter of the products' rate.
double FewQueries::Microseconds(int64_t keys, int64_t columns) const {
  const double elements = static_cast<double>(keys * config_.head_dim);
  const double bytes = static_cast<double>(keys * RowBytes(config_.key_value_type(), config_.head_dim));
  const double flops = 2 * elements * static_cast<double>(columns);
  return std::max(bytes / kSlowBytesPerMicrosecond, 4 * flops / SlowFlopsPerMicrosecond(config_.isa));
}

int64_t FewQueries::KeysPerPiece(int64_t keys, int64_t columns) const {
  const int64_t granule = reads_int8() ? 64 : 32;  // whole vectors, and whole runs of few_weighted_sum
  const int64_t most = static_cast<int64_t>(kProgressMicroseconds / Microseconds(1, columns));
  const int64_t bound = std::max(granule, most / granule * granule);
  return std::min(bound, RoundUp(CeilDivide(keys, CeilDivide(keys, bound)), granule));
}

void FewQueries::Finish(const AttentionStep& step, int64_t batch, const HeadGroup& group,
                        std::span<const Partial> partials, ProgressMeter& meter) const {
  const int64_t head_dim = config_.head_dim;
  std::array<Column, kMaxColumns> columns;
  const int64_t count = FillColumns(step, group, columns.data());
  std::array<float, kMaxHeadDim> sum;
  for (int64_t c = 0; c < count; ++c) {
    const Column& column = columns[c];
    meter.BeforeBytes(static_cast<double>(4 * head_dim * static_cast<int64_t>(partials.size() + 2)));
    const int64_t index = step.first ? 0 : step.state.RowIndex(batch, column.head, column.row);
    float m = step.first ? Base2Row::kEmpty : Base2FromNatural(step.state.m[index]);
    const float old_m = m;
    for (const Partial& partial : partials) m = std::max(m, partial.m[c]);
    const float old_weight = Base2Row::Weight(old_m, m);
    float l = step.first ? 0.0f : step.state.l[index] * old_weight;
    for (int64_t d = 0; d < head_dim; ++d) {
      sum[d] = step.first ? 0.0f : step.state.o.Row<float>(batch, column.head, column.row)[d] * old_weight;
    }
    for (const Partial& partial : partials) {
      const float factor = Base2Row::Weight(partial.m[c], m);
      l += partial.l[c] * factor;
      for (int64_t d = 0; d < head_dim; ++d) sum[d] += partial.o[c * head_dim + d] * factor;
    }
    bool finite = std::isfinite(l);
    for (int64_t d = 0; d < head_dim; ++d) finite = finite && std::isfinite(sum[d]);
    if (!finite) {
      RepairRow(config_, step, batch, column.head, column.row, column.position, meter);
      continue;
    }
    const float factor = step.last ? Base2Row::FinishFactor(l) : 1.0f;
    float* to = (step.last ? step.output : step.state.o).Row<float>(batch, column.head, column.row);
    for (int64_t d = 0; d < head_dim; ++d) to[d] = sum[d] * factor;
    if (!step.last) {
      const int64_t out = step.state.RowIndex(batch, column.head, column.row);
      step.state.m[out] = NaturalFromBase2(m);
      step.state.l[out] = l;
    }
  }
}

}  // namespace attention
