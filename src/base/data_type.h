// Element types of Q, K and V. Outputs and AttentionState are always float32.
//
// int8 is for keys and values that are kept; its rows bring their own scale (int8_row.h).
#ifndef SRC_BASE_DATA_TYPE_H_
#define SRC_BASE_DATA_TYPE_H_

#include <bit>
#include <cstddef>
#include <cstdint>

namespace attention {

enum class DataType { kFloat32, kBfloat16, kInt8 };

constexpr size_t SizeOf(DataType type) {
  return type == DataType::kFloat32 ? 4 : type == DataType::kBfloat16 ? 2 : 1;
}
// Bytes of a row of head_dim elements, with what stands behind them.
constexpr int64_t RowBytes(DataType type, int64_t head_dim) {
  return head_dim * static_cast<int64_t>(SizeOf(type)) +
         (type == DataType::kInt8 ? static_cast<int64_t>(sizeof(float)) : 0);
}

constexpr const char* Name(DataType type) {
  return type == DataType::kFloat32 ? "fp32" : type == DataType::kBfloat16 ? "bf16" : "int8";
}

// The upper half of an IEEE binary32; round to nearest, ties to even; NaN stays NaN.
struct Bfloat16 {
  uint16_t bits;

  static constexpr Bfloat16 FromFloat(float value) {
    const uint32_t word = std::bit_cast<uint32_t>(value);
    if ((word & 0x7FFFFFFFu) > 0x7F800000u) return {static_cast<uint16_t>((word >> 16) | 0x0040u)};
    return {static_cast<uint16_t>((word + 0x7FFFu + ((word >> 16) & 1u)) >> 16)};
  }
  constexpr float ToFloat() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};

}  // namespace attention

#endif  // SRC_BASE_DATA_TYPE_H_
