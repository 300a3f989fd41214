// The inner loop of the linear layers, per ISA: a few rows times one panel of weights, sums in registers.
#ifndef SRC_QWEN3_LINEAR_LINEAR_KERNELS_H_
#define SRC_QWEN3_LINEAR_LINEAR_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "src/base/data_type.h"
#include "src/simd/isa.h"

namespace attention {

inline constexpr int kMaxTileRows = 14;

// result[r * result_stride + j] (=, or += if add) sum over i < inputs of a[i * rows + r] * panel(i, j), for
// r < rows and all 32 outputs j of the panel (layout: packed_matrix.h). Float32 sums, one accumulator per
// element and split; `a` is packed with exactly `rows` values per input.
//
// `ahead`: what is used next. With input i the 128 bytes at begin + i * step are asked for: memory need not
// be mapped there, nothing is read.
struct ReadAhead {
  const std::byte* begin = nullptr;
  int64_t step = 0;
};
using LinearTile = void (*)(const float* a, const std::byte* panel, int64_t inputs, float* result,
                            int64_t result_stride, bool add, const ReadAhead& ahead);

struct LinearKernels {
  int max_rows;  // largest `rows` that stays in registers
  // packed[i * rows + r] = x[r * stride + i] for r < rows and i < inputs, nothing written beyond: the `a` of
  // a tile of 1 to max_rows rows.
  void (*pack)(const float* x, int64_t stride, int rows, int64_t inputs, float* packed);
  // By rows - 1, up to max_rows.
  LinearTile float32[kMaxTileRows];
  LinearTile bfloat16[kMaxTileRows];

  LinearTile Get(DataType type, int rows) const {
    return (type == DataType::kFloat32 ? float32 : bfloat16)[rows - 1];
  }
};

// Throws Error if this CPU does not run the ISA.
const LinearKernels& GetLinearKernels(Isa isa);

}  // namespace attention

#endif  // SRC_QWEN3_LINEAR_LINEAR_KERNELS_H_
