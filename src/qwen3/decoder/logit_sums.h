// What of a row of logits, spread over ranks by vocabulary, the probability of one token needs.
#ifndef SRC_QWEN3_DECODER_LOGIT_SUMS_H_
#define SRC_QWEN3_DECODER_LOGIT_SUMS_H_

#include <cstdint>
#include <span>

#include "src/mpi/communicator.h"

namespace attention {

// ln p(target) = target - largest - ln(sum). Not finite logits make `sum` not finite.
struct LogitSums {
  double largest = 0;  // of the logits; of none, minus infinity
  double sum = 0;      // of exp(logit - largest)
  double target = 0;   // logit of the token; 0 if it is not among them
};

// Of this rank's logits; `target` is its index among them, or outside of [0, size) if another rank has it.
LogitSums SumLogits(std::span<const float> logits, int64_t target);

// Collective. Every rank's sums of the same rows become those of the whole rows, the same bits on every rank.
void MergeOverRanks(const Communicator& communicator, std::span<LogitSums> rows);

}  // namespace attention

#endif  // SRC_QWEN3_DECODER_LOGIT_SUMS_H_
