#include "src/base/int8_row.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace attention {

void RoundToInt8Row(std::span<const float> x, int8_t* row) {
  // As whole numbers, sizes of floats are in order, with infinities and NaN above them: and compilers
  // vectorise this maximum.
  uint32_t largest_bits = 0;
  for (float value : x) largest_bits = std::max(largest_bits, std::bit_cast<uint32_t>(value) & 0x7FFFFFFFu);
  const bool finite = largest_bits < 0x7F800000u;
  const float scale =
      finite ? std::bit_cast<float>(largest_bits) / 127 : std::numeric_limits<float>::quiet_NaN();
  std::memcpy(row + x.size(), &scale, sizeof(scale));
  if (!finite || scale == 0) {
    std::fill_n(row, x.size(), int8_t{0});
    return;
  }
  // Beside 1.5 * 2^23 a float's last bit is worth 1.
  constexpr float kToWhole = 0x1.8p23f;
  for (size_t i = 0; i < x.size(); ++i) {
    // Where the scale was rounded down, a quotient may pass 127.
    const float whole = std::clamp(x[i] / scale, -127.0f, 127.0f) + kToWhole;
    row[i] = static_cast<int8_t>(std::bit_cast<int32_t>(whole) - std::bit_cast<int32_t>(kToWhole));
  }
}

void WidenInt8Row(const int8_t* row, std::span<float> x) {
  const float scale = ScaleOfInt8Row(row, static_cast<int64_t>(x.size()));
  for (size_t i = 0; i < x.size(); ++i) x[i] = scale * static_cast<float>(row[i]);
}

}  // namespace attention
