// The inner loop of the linear layers, per ISA: a few rows times one panel of weights, sums in registers.
#ifndef SRC_QWEN3_LINEAR_LINEAR_KERNELS_H_
#define SRC_QWEN3_LINEAR_LINEAR_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "src/base/data_type.h"
#include "src/simd/isa.h"

namespace attention {

inline constexpr int kMaxTileRows = 14;

// result[r * result_stride + j] (=, or += if add) sum over i < inputs of x(i, r) * panel(i, j), for r < rows
// and all 32 outputs j of the panel (layout: packed_matrix.h). Float32 sums, one accumulator per element and
// split. `words` holds x packed with exactly `rows` words per step: a word is a float, one input, or a pair
// of bf16, two (LinearKernels::inputs_per_word).
//
// `ahead`: what is used next. With input i the lines of begin + i * step are asked for: memory need not be
// mapped there, nothing is read.
struct ReadAhead {
  const std::byte* begin = nullptr;
  int64_t step = 0;
};
using LinearTile = void (*)(const float* words, const std::byte* panel, int64_t inputs, float* result,
                            int64_t result_stride, bool add, const ReadAhead& ahead);

// For weights of one type and activations (x) of one type.
struct LinearKernels {
  int max_rows;  // largest `rows` that stays in registers
  int inputs_per_word;
  // Words of one row of `inputs` floats, rounded to the type of the activations, to nearest even. A pair
  // whose second input does not exist ends with zero. Null: the floats are the words.
  void (*convert)(const float* x, int64_t inputs, float* words);
  // packed[i * rows + r] = words[r * stride + i] for r < rows and i < count, nothing written beyond: the
  // words of a tile of 1 to max_rows rows.
  void (*pack)(const float* words, int64_t stride, int rows, int64_t count, float* packed);
  // By rows - 1, up to max_rows.
  LinearTile tiles[kMaxTileRows];

  int64_t Words(int64_t inputs) const { return (inputs + inputs_per_word - 1) / inputs_per_word; }
};

// Throws Error if this CPU does not run the ISA, or for bf16 activations with fp32 weights.
//
// bf16 activations are rounded whatever the ISA. Where HasBfloat16Dot(isa), pairs are multiplied as they
// are; else both sides are widened, products are exact either way, and only the order of the sums differs.
LinearKernels GetLinearKernels(Isa isa, DataType weights, DataType activations);

}  // namespace attention

#endif  // SRC_QWEN3_LINEAR_LINEAR_KERNELS_H_
