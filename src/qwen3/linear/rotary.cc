#include "src/qwen3/linear/rotary.h"

#include <cmath>

#include "src/base/error.h"

namespace attention {

RotaryTable::RotaryTable(int64_t positions, int64_t head_dim, double theta, const RotaryScaling& scaling)
    : positions_(positions),
      half_(head_dim / 2),
      cos_(static_cast<size_t>(positions * half_)),
      sin_(static_cast<size_t>(positions * half_)) {
  const std::vector<double> frequencies = RotaryFrequencies(head_dim, theta, scaling);
  for (int64_t i = 0; i < half_; ++i) {
    for (int64_t p = 0; p < positions; ++p) {
      const double angle = static_cast<double>(p) * frequencies[static_cast<size_t>(i)];
      cos_[p * half_ + i] = static_cast<float>(std::cos(angle) * scaling.magnitude);
      sin_[p * half_ + i] = static_cast<float>(std::sin(angle) * scaling.magnitude);
    }
  }
}

RotaryTable::RotaryTable(std::span<const float> cos, std::span<const float> sin, int64_t head_dim)
    : positions_(static_cast<int64_t>(cos.size()) / head_dim), half_(head_dim / 2) {
  Require(head_dim % 2 == 0 && cos.size() == sin.size() &&
              static_cast<int64_t>(cos.size()) == positions_ * head_dim,
          "cos and sin should be [positions, head_dim ", head_dim, "], have ", cos.size(), " and ",
          sin.size(), " elements");
  for (int64_t p = 0; p < positions_; ++p) {
    const auto row = static_cast<std::ptrdiff_t>(p * head_dim);
    cos_.insert(cos_.end(), cos.begin() + row, cos.begin() + row + half_);
    sin_.insert(sin_.end(), sin.begin() + row, sin.begin() + row + half_);
  }
}

}  // namespace attention
