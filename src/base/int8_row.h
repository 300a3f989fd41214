// Rows of int8 with a scale: how keys and values are kept in little more than a quarter of float32's room.
//
// A row x of n float32 becomes n int8 and behind them, unaligned, the float32 that multiplies them:
//   scale = max |x| / 127,   stored[i] = x[i] / scale to the nearest, ties to even.
// So an element is at most half a scale, max |x| / 254, away from what it was, and the roundings of a
// division and a product (2^-16 of a scale). That is of rows whose scale is a normal number; below, scales
// are coarse, and 0 where max |x| is less than 2^-143. A row that holds an infinity or a NaN is NaN
// throughout: its scale is.
#ifndef SRC_BASE_INT8_ROW_H_
#define SRC_BASE_INT8_ROW_H_

#include <cstdint>
#include <cstring>
#include <span>

namespace attention {

inline float ScaleOfInt8Row(const int8_t* row, int64_t elements) {
  float scale;
  std::memcpy(&scale, row + elements, sizeof(scale));
  return scale;
}

// `row` has room for RowBytes(DataType::kInt8, x.size()).
void RoundToInt8Row(std::span<const float> x, int8_t* row);

// What a row stands for; `x` may be what it was made of.
void WidenInt8Row(const int8_t* row, std::span<float> x);

}  // namespace attention

#endif  // SRC_BASE_INT8_ROW_H_
