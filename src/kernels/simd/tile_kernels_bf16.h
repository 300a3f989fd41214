// Tile kernels on the CPU's bf16 dot products (AVX512_BF16).
#ifndef SRC_KERNELS_SIMD_TILE_KERNELS_BF16_H_
#define SRC_KERNELS_SIMD_TILE_KERNELS_BF16_H_

#include "src/kernels/simd/tile_kernels.h"

namespace attention {

// Where HasBfloat16Dot(): replaces what multiplies in a table of AVX-512 kernels for bf16 inputs;
// pack_queries is the caller's to replace.
void UseBfloat16Dot(TileKernels& kernels);

}  // namespace attention

#endif  // SRC_KERNELS_SIMD_TILE_KERNELS_BF16_H_
