// What `benchmark_qwen3 --verify` is to run.
#ifndef SRC_QWEN3_VERIFY_REQUEST_H_
#define SRC_QWEN3_VERIFY_REQUEST_H_

#include <optional>
#include <vector>

#include "src/attention/attention_backend.h"
#include "src/parallel/strategy/strategy.h"

namespace attention {

// Whatever is not named runs in every valid form.
struct VerifyRequest {
  std::optional<ParallelStrategy> strategy;
  std::optional<Exchange> exchange;  // of strategy sequence; inside a block, headwise has none
  std::optional<Sharding> sharding;
  std::optional<AttentionAlgorithm> algorithm;
  std::vector<Isa> isas;
  int threads = 1;
  BackendFactory backend = nullptr;
};

}  // namespace attention

#endif  // SRC_QWEN3_VERIFY_REQUEST_H_
