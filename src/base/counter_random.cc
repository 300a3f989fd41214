#include "src/base/counter_random.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace attention {
namespace {

constexpr uint64_t kGolden = 0x9E3779B97F4A7C15ull;

constexpr uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

constexpr uint64_t StreamKey(uint64_t seed, uint64_t stream) {
  return Mix(Mix(seed + kGolden) + kGolden * (stream + 1));
}

constexpr int kQuantileBits = 16;
constexpr uint64_t kValuesPerIndex = 64 / kQuantileBits;
constexpr uint64_t kQuantileMask = (uint64_t{1} << kQuantileBits) - 1;

// Quantiles of the standard normal distribution at (k + 1/2) / 2^16, k from 0, by Newton's method from the
// middle outwards.
std::vector<float> MakeQuantiles() {
  constexpr size_t kCount = size_t{1} << kQuantileBits;
  std::vector<float> quantiles(kCount);
  double x = 0;
  for (size_t k = kCount / 2; k < kCount; ++k) {
    const double above = 1 - (static_cast<double>(k) + 0.5) / kCount;
    for (int step = 0; step < 8; ++step) {
      const double density = std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
      x += (std::erfc(x / std::numbers::sqrt2) / 2 - above) / density;
    }
    quantiles[k] = static_cast<float>(x);
    quantiles[kCount - 1 - k] = -static_cast<float>(x);
  }
  return quantiles;
}

const std::vector<float>& Quantiles() {
  static const std::vector<float> kQuantiles = MakeQuantiles();
  return kQuantiles;
}

double ToUniform(uint64_t bits) { return (static_cast<double>(bits >> 11) + 0.5) * 0x1.0p-53; }

}  // namespace

uint64_t RandomBits(uint64_t seed, uint64_t stream, uint64_t index) {
  return Mix(StreamKey(seed, stream) + kGolden * (index + 1));
}

double RandomUniform(uint64_t seed, uint64_t stream, uint64_t index) {
  return ToUniform(RandomBits(seed, stream, index));
}

double RandomGaussian(uint64_t seed, uint64_t stream, uint64_t index) {
  const uint64_t bits = RandomBits(seed, stream, index / kValuesPerIndex);
  return Quantiles()[bits >> kQuantileBits * (index % kValuesPerIndex) & kQuantileMask];
}

void FillGaussian(uint64_t seed, uint64_t stream, uint64_t begin, std::span<float> out) {
  const std::vector<float>& quantiles = Quantiles();
  const uint64_t key = StreamKey(seed, stream);
  uint64_t index = begin;
  for (size_t i = 0; i < out.size();) {
    uint64_t bits =
        Mix(key + kGolden * (index / kValuesPerIndex + 1)) >> kQuantileBits * (index % kValuesPerIndex);
    const uint64_t left = kValuesPerIndex - index % kValuesPerIndex;
    const size_t count = std::min<size_t>(left, out.size() - i);
    for (size_t j = 0; j < count; ++j, bits >>= kQuantileBits) out[i + j] = quantiles[bits & kQuantileMask];
    i += count;
    index += count;
  }
}

}  // namespace attention
