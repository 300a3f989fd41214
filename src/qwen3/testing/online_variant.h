// The variant that tests of models take where any does.
#ifndef SRC_QWEN3_TESTING_ONLINE_VARIANT_H_
#define SRC_QWEN3_TESTING_ONLINE_VARIANT_H_

#include "src/attention/algorithm.h"
#include "src/parallel/strategy/strategy.h"

namespace attention {

// Online softmax, with the exchange that each strategy has by default.
inline Variant OnlineVariant(ParallelStrategy strategy) {
  Variant variant;
  variant.strategy = strategy;
  variant.exchange = strategy == ParallelStrategy::kHeadwise ? Exchange::kAllgather : Exchange::kRing;
  variant.algorithm = AttentionAlgorithm::kOnlineSoftmax;
  return variant;
}

}  // namespace attention

#endif  // SRC_QWEN3_TESTING_ONLINE_VARIANT_H_
