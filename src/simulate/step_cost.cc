#include "src/simulate/step_cost.h"

#include <algorithm>
#include <cmath>

#include "src/kernels/layout/step_layout.h"
#include "src/parallel/partition/visible_pairs.h"

namespace attention {
namespace {

// Those of the step's KV heads.
int64_t QueryHeads(const BackendConfig& config, const AttentionStep& step) {
  int64_t heads = 0;
  for (int64_t h = 0; h < config.query_heads; ++h) heads += step.kv_heads.Contains(config.heads.KvHead(h));
  return heads;
}

}  // namespace

double StepSeconds(const Calibration& calibration, const BackendConfig& config, const AttentionStep& step) {
  const KernelKind kind = KernelKind::Of(config);
  const StepWork whole = step.first && step.last ? StepWork::kFull : StepWork::kCarried;
  double seconds = 0;
  for (const KeyValueShard& shard : step.key_values) {
    for (const TokenSegment& queries : step.query.segments) {
      for (const TokenSegment& keys : shard.segments) {
        const double visible = VisiblePairs({queries}, {keys}, config.mask);
        if (visible <= 0) continue;
        const auto q = static_cast<double>(queries.length), k = static_cast<double>(keys.length);
        const double rate = visible == q * k ? calibration.SecondsPerPair(kind, whole, q, k)
                                             : calibration.SecondsPerPair(kind, StepWork::kDiagonal,
                                                                          std::sqrt(2 * visible), 1);
        seconds += visible * rate;
      }
    }
  }
  return seconds * static_cast<double>(config.batch * QueryHeads(config, step));
}

double StepBytes(const BackendConfig& config, const AttentionStep& step) {
  const int64_t query_heads = QueryHeads(config, step);
  const int64_t kv_heads = std::min(step.kv_heads.end, config.kv_heads) - step.kv_heads.begin;
  int64_t keys = 0;
  for (const KeyValueShard& shard : step.key_values) keys += CountTokens(shard.segments);
  const int64_t element = static_cast<int64_t>(SizeOf(config.data_type));
  const int64_t state_row = (config.head_dim + 2) * static_cast<int64_t>(sizeof(float));
  const int64_t output_row = config.head_dim * static_cast<int64_t>(sizeof(float));
  const int64_t query_row =
      config.head_dim * element + (step.first ? 0 : state_row) + (step.last ? output_row : state_row);
  const int64_t bytes = query_heads * CountTokens(step.query.segments) * query_row +
                        kv_heads * keys * 2 * config.head_dim * element;
  return static_cast<double>(config.batch * bytes);
}

}  // namespace attention
