#include "src/kernels/row_repair.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "src/attention/row_state.h"
#include "src/kernels/layout/step_layout.h"

namespace attention {
namespace {

// Some 1 us each: scalar, and a view's address per element.
constexpr int64_t kKeysPerCall = 32;

float ClampToFloat(double value) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  // inf and NaN stay: they were seen, not made.
  return static_cast<float>(std::isfinite(value) ? std::clamp(value, -kLargest, kLargest) : value);
}

struct Row {
  double o[kMaxHeadDim] = {};
  double m = ReferenceRow::kEmpty;
  double l = 0;
};

void AddKey(const ConstTensorView& v, int64_t batch, int64_t kv_head, int64_t key, double s, Row& row) {
  if (s == ReferenceRow::kEmpty) return;  // weight exactly 0
  const ReferenceRow::Merge merge = ReferenceRow::MergeOf(row.m, s);
  for (int64_t d = 0; d < v.shape.head_dim; ++d) {
    row.o[d] = row.o[d] * merge.weight + merge.other_weight * ElementAsFloat(v, batch, kv_head, key, d);
  }
  row.m = merge.m;
  row.l = row.l * merge.weight + merge.other_weight;
}

}  // namespace

void RepairRow(const BackendConfig& config, const AttentionStep& step, int64_t batch, int64_t head,
               int64_t query_row, int64_t position, ProgressMeter& meter) {
  const int64_t head_dim = config.head_dim;
  const int64_t kv_head = config.heads.KvHead(head);
  const double scale = Base2Scale(config) / std::numbers::log2e;
  Row row;
  if (!step.first) {
    const int64_t index = step.state.RowIndex(batch, head, query_row);
    std::copy_n(step.state.o.Row<float>(batch, head, query_row), head_dim, row.o);
    row.m = step.state.m[index];
    row.l = step.state.l[index];
  }
  for (const KeyValueShard& shard : step.key_values) {
    for (const TokenSegment& segment : shard.segments) {
      const KeyRange visible =
          config.mask.VisibleToAny(position, position, segment.global_begin, segment.length);
      for (int64_t key = segment.local_begin + visible.begin; key < segment.local_begin + visible.end;
           ++key) {
        if (key % kKeysPerCall == 0) meter.Call();
        double s = 0;
        for (int64_t d = 0; d < head_dim; ++d) {
          s += double{ElementAsFloat(step.query.q, batch, head, query_row, d)} *
               ElementAsFloat(shard.k, batch, kv_head, key, d);
        }
        AddKey(shard.v, batch, kv_head, key, s * scale, row);
      }
    }
  }
  // Normalised, so that a state of huge values is representable: (o / l, m + log l, 1).
  float* to = step.last ? step.output.Row<float>(batch, head, query_row)
                        : step.state.o.Row<float>(batch, head, query_row);
  for (int64_t d = 0; d < head_dim; ++d) to[d] = row.l == 0 ? 0.0f : static_cast<float>(row.o[d] / row.l);
  if (!step.last) {
    const int64_t index = step.state.RowIndex(batch, head, query_row);
    step.state.m[index] = row.l == 0 ? NaturalRow::kEmpty : ClampToFloat(row.m + std::log(row.l));
    step.state.l[index] = row.l == 0 ? 0.0f : 1.0f;
  }
}

}  // namespace attention
