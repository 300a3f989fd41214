#include "src/base/counter_random.h"

#include <cmath>
#include <numbers>

namespace attention {
namespace {

constexpr uint64_t kGolden = 0x9E3779B97F4A7C15ull;

constexpr uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

double ToUniform(uint64_t bits) { return (static_cast<double>(bits >> 11) + 0.5) * 0x1.0p-53; }

}  // namespace

uint64_t RandomBits(uint64_t seed, uint64_t stream, uint64_t index) {
  const uint64_t key = Mix(Mix(seed + kGolden) + kGolden * (stream + 1));
  return Mix(key + kGolden * (index + 1));
}

double RandomUniform(uint64_t seed, uint64_t stream, uint64_t index) {
  return ToUniform(RandomBits(seed, stream, index));
}

double RandomGaussian(uint64_t seed, uint64_t stream, uint64_t index) {
  // Both values of a Box-Muller pair are used: elements 2i and 2i+1 share their two uniforms.
  const uint64_t pair = index & ~uint64_t{1};
  const double radius = std::sqrt(-2.0 * std::log(RandomUniform(seed, stream, pair)));
  const double angle = 2.0 * std::numbers::pi * RandomUniform(seed, stream, pair + 1);
  return radius * ((index & 1) == 0 ? std::cos(angle) : std::sin(angle));
}

void FillGaussian(uint64_t seed, uint64_t stream, uint64_t begin, std::span<float> out) {
  size_t i = 0;
  if ((begin & 1) != 0 && !out.empty()) out[i++] = static_cast<float>(RandomGaussian(seed, stream, begin));
  for (; i + 1 < out.size(); i += 2) {
    const double radius = std::sqrt(-2.0 * std::log(RandomUniform(seed, stream, begin + i)));
    const double angle = 2.0 * std::numbers::pi * RandomUniform(seed, stream, begin + i + 1);
    out[i] = static_cast<float>(radius * std::cos(angle));
    out[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
  if (i < out.size()) out[i] = static_cast<float>(RandomGaussian(seed, stream, begin + i));
}

}  // namespace attention
