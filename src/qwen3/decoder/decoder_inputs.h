// Seeded inputs of the decoder scopes, by global index: the same for every strategy, rank count and
// reference.
#ifndef SRC_QWEN3_DECODER_DECODER_INPUTS_H_
#define SRC_QWEN3_DECODER_DECODER_INPUTS_H_

#include <cstdint>
#include <span>

#include "src/base/counter_random.h"

namespace attention {

inline constexpr uint64_t kHiddenStream = 101;
inline constexpr uint64_t kTokenStream = 102;

// Hidden state of a token, standard normal: row `row` = batch entry * tokens + token of [batch * tokens,
// hidden].
inline void FillHiddenRow(uint64_t seed, int64_t row, std::span<float> hidden) {
  FillGaussian(seed, kHiddenStream, static_cast<uint64_t>(row) * hidden.size(), hidden);
}

// Token id of position `row`, uniform over the vocabulary.
inline int64_t SeededTokenId(uint64_t seed, int64_t row, int64_t vocabulary) {
  return static_cast<int64_t>(RandomBits(seed, kTokenStream, static_cast<uint64_t>(row)) %
                              static_cast<uint64_t>(vocabulary));
}

}  // namespace attention

#endif  // SRC_QWEN3_DECODER_DECODER_INPUTS_H_
