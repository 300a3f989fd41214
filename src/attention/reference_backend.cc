#include "src/attention/reference_backend.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "src/attention/row_state.h"
#include "src/base/error.h"

namespace attention {
namespace {

class ReferenceBackend : public AttentionBackend {
 public:
  explicit ReferenceBackend(const BackendConfig& config)
      : config_(config),
        scale_(config.scale != 0 ? config.scale : 1.0 / std::sqrt(static_cast<double>(config.head_dim))) {}

  std::string name() const override { return "reference"; }
  size_t workspace_bytes() const override { return 0; }
  TileSizes tiles() const override { return {1, 1}; }

  void Accumulate(const AttentionStep& step) override {
    Require(RowOf(config_.algorithm).carries_state || !step.needs_carried_state(config_.kv_heads),
            Name(config_.algorithm), " needs all heads and all keys in one shard and one step");
    for (const TokenSegment& segment : step.query.segments) {
      for (int64_t b = 0; b < config_.batch; ++b) {
        for (int64_t h = 0; h < config_.query_heads; ++h) {
          if (!step.kv_heads.Contains(config_.heads.KvHead(h))) continue;
          for (int64_t t = 0; t < segment.length; ++t) {
            AccumulateRow(step, b, h, segment.local_begin + t, segment.global_begin + t);
          }
        }
      }
    }
    step.progress();
  }

 private:
  void AccumulateRow(const AttentionStep& step, int64_t b, int64_t h, int64_t row, int64_t position) {
    const int64_t head_dim = config_.head_dim;
    const float* q = step.query.q.Row<float>(b, h, row);
    std::vector<double> o(head_dim, 0.0);
    double m = ReferenceRow::kEmpty, l = 0;
    const int64_t state_row = step.first ? 0 : step.state.RowIndex(b, h, row);
    if (!step.first) {
      std::copy_n(step.state.o.Row<float>(b, h, row), head_dim, o.begin());
      m = step.state.m[state_row];
      l = step.state.l[state_row];
    }
    const int64_t kv_head = config_.heads.KvHead(h);
    for (size_t index = 0; index < step.key_values.size(); ++index) {
      const KeyValueShard& shard = step.key_values[index];
      if (index > 0) {  // as if stored and loaded
        for (double& value : o) value = static_cast<float>(value);
        m = static_cast<float>(m);
        l = static_cast<float>(l);
      }
      for (const TokenSegment& keys : shard.segments) {
        const KeyRange visible =
            config_.mask.VisibleToAny(position, position, keys.global_begin, keys.length);
        for (int64_t j = visible.begin; j < visible.end; ++j) {
          const float* k = shard.k.Row<float>(b, kv_head, keys.local_begin + j);
          const float* v = shard.v.Row<float>(b, kv_head, keys.local_begin + j);
          double s = 0;
          for (int64_t d = 0; d < head_dim; ++d) s += static_cast<double>(q[d]) * k[d];
          s *= scale_;
          const ReferenceRow::Merge merge = ReferenceRow::MergeOf(m, s);
          for (int64_t d = 0; d < head_dim; ++d) o[d] = o[d] * merge.weight + merge.other_weight * v[d];
          l = l * merge.weight + merge.other_weight;
          m = merge.m;
        }
      }
    }
    if (step.last) {
      float* out = step.output.Row<float>(b, h, row);
      for (int64_t d = 0; d < head_dim; ++d) out[d] = l == 0 ? 0.0f : static_cast<float>(o[d] / l);
    } else {
      const int64_t index = step.state.RowIndex(b, h, row);
      std::copy_n(o.begin(), head_dim, step.state.o.Row<float>(b, h, row));
      step.state.m[index] = static_cast<float>(m);
      step.state.l[index] = static_cast<float>(l);
    }
  }

  BackendConfig config_;
  double scale_;
};

}  // namespace

std::unique_ptr<AttentionBackend> MakeReferenceBackend(const BackendConfig& config) {
  Require(config.data_type == DataType::kFloat32 && config.key_value_type() == DataType::kFloat32,
          "the reference backend takes fp32");
  return std::make_unique<ReferenceBackend>(config);
}

}  // namespace attention
