// Linear tiles on the CPU's bf16 dot products (AVX512_BF16).
#ifndef SRC_QWEN3_LINEAR_LINEAR_KERNELS_BF16_H_
#define SRC_QWEN3_LINEAR_LINEAR_KERNELS_BF16_H_

#include "src/qwen3/linear/linear_kernels.h"

namespace attention {

// Where HasBfloat16Dot(): replaces what converts and multiplies in a table of AVX-512 kernels for bf16
// weights and activations.
void UseBfloat16Dot(LinearKernels& kernels);

}  // namespace attention

#endif  // SRC_QWEN3_LINEAR_LINEAR_KERNELS_BF16_H_
