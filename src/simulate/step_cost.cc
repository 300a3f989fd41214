#include "src/simulate/step_cost.h"

#include <algorithm>
#include <cmath>

namespace attention {
namespace {

// Pairs of the queries and keys of two runs that the mask shows.
double VisiblePairs(const Mask& mask, const TokenSegment& queries, const TokenSegment& keys) {
  const int64_t first = queries.global_begin, last = first + queries.length - 1;
  if (queries.length == 0 || mask.VisibleToAny(first, last, keys.global_begin, keys.length).is_empty()) {
    return 0;
  }
  const int64_t common = mask.VisibleToAll(first, last, keys.global_begin, keys.length).size();
  if (common == keys.length) return static_cast<double>(queries.length) * static_cast<double>(keys.length);
  double pairs = 0;
  for (int64_t position = first; position <= last; ++position) {
    pairs +=
        static_cast<double>(mask.VisibleToAny(position, position, keys.global_begin, keys.length).size());
  }
  return pairs;
}

}  // namespace

double StepSeconds(const Calibration& calibration, const BackendConfig& config, const AttentionStep& step) {
  const KernelKind kind = KernelKind::Of(config);
  const StepWork whole = step.first && step.last ? StepWork::kFull : StepWork::kCarried;
  double seconds = 0;
  for (const KeyValueShard& shard : step.key_values) {
    for (const TokenSegment& queries : step.query.segments) {
      for (const TokenSegment& keys : shard.segments) {
        const double visible = VisiblePairs(config.mask, queries, keys);
        if (visible <= 0) continue;
        const auto q = static_cast<double>(queries.length), k = static_cast<double>(keys.length);
        const double rate = visible == q * k ? calibration.SecondsPerPair(kind, whole, q, k)
                                             : calibration.SecondsPerPair(kind, StepWork::kDiagonal,
                                                                          std::sqrt(2 * visible), 1);
        seconds += visible * rate;
      }
    }
  }
  int64_t query_heads = 0;
  for (int64_t h = 0; h < config.query_heads; ++h) {
    query_heads += step.kv_heads.Contains(config.heads.KvHead(h)) ? 1 : 0;
  }
  return seconds * static_cast<double>(config.batch * query_heads);
}

}  // namespace attention
