// The rotary embedding's angles, by global position.
#ifndef SRC_QWEN3_LINEAR_ROTARY_H_
#define SRC_QWEN3_LINEAR_ROTARY_H_

#include <cstdint>
#include <span>
#include <vector>

#include "src/qwen3/checkpoint/rotary_scaling.h"

namespace attention {

// cos and sin of position * theta^(-2 i / head_dim) for i < head_dim / 2 (Su et al. 2021; theta 1e6 in
// Qwen3), or of other frequencies and times a magnitude (rotary_scaling.h). Angles are computed in double and
// rounded once.
class RotaryTable {
 public:
  RotaryTable(int64_t positions, int64_t head_dim, double theta, const RotaryScaling& scaling = {});
  // Angles made elsewhere: cos, sin [positions, head_dim] as Hugging Face passes them, the second half of a
  // row repeating the first. Error if the sizes do not fit.
  RotaryTable(std::span<const float> cos, std::span<const float> sin, int64_t head_dim);

  int64_t positions() const { return positions_; }
  int64_t half() const { return half_; }
  const float* cos(int64_t position) const { return cos_.data() + position * half_; }
  const float* sin(int64_t position) const { return sin_.data() + position * half_; }

 private:
  int64_t positions_;
  int64_t half_;
  std::vector<float> cos_;
  std::vector<float> sin_;
};

}  // namespace attention

#endif  // SRC_QWEN3_LINEAR_ROTARY_H_
