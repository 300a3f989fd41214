// In a simulation: angles have positions and no values.
#include "src/qwen3/linear/rotary.h"

#include "src/base/error.h"

namespace attention {

RotaryTable::RotaryTable(int64_t positions, int64_t head_dim, double, const RotaryScaling&)
    : positions_(positions), half_(head_dim / 2) {}

RotaryTable::RotaryTable(std::span<const float>, std::span<const float>, int64_t) {
  Fail("a simulation has no angles of its own");
}

}  // namespace attention
