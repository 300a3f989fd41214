// Counter-based random data: the value of an element depends only on (seed, stream, global index).
//
// Any rank can therefore make exactly its shard of Q, K and V, for any strategy and rank count, and the
// float64 reference sees the same numbers.
#ifndef SRC_BASE_COUNTER_RANDOM_H_
#define SRC_BASE_COUNTER_RANDOM_H_

#include <cstdint>
#include <span>

namespace attention {

// 64 well-mixed bits of (seed, stream, index): SplitMix64's finaliser (Steele, Lea, Flood 2014) over a Weyl
// sequence, applied twice so that neighbouring streams do not correlate.
uint64_t RandomBits(uint64_t seed, uint64_t stream, uint64_t index);

// Uniform in (0, 1), 53 bits.
double RandomUniform(uint64_t seed, uint64_t stream, uint64_t index);

// Standard normal, one of 2^16 equally likely values, the middles of as many slices of the distribution (so
// |value| < 4.33, and the variance is 1 - 2.03e-5). Four values share the 64 bits of an index: a launch fills
// some hundred million of them, and Box-Muller took longer than what was measured.
double RandomGaussian(uint64_t seed, uint64_t stream, uint64_t index);

// out[i] = RandomGaussian(seed, stream, begin + i), rounded to float; a quarter of the work of single calls.
void FillGaussian(uint64_t seed, uint64_t stream, uint64_t begin, std::span<float> out);

}  // namespace attention

#endif  // SRC_BASE_COUNTER_RANDOM_H_
