// Few query columns over int8 rows by the CPU's integer dot products (AVX512_VNNI).
#ifndef SRC_KERNELS_SIMD_FEW_QUERIES_INT8_H_
#define SRC_KERNELS_SIMD_FEW_QUERIES_INT8_H_

#include <cstdint>

#include "src/kernels/simd/tile_kernels.h"

namespace attention {

// Where HasInt8Dot() and head_dim is a multiple of 64: replaces what reads int8 in a table of AVX-512
// kernels.
void UseInt8Dot(TileKernels& kernels, int64_t head_dim);

}  // namespace attention

#endif  // SRC_KERNELS_SIMD_FEW_QUERIES_INT8_H_
