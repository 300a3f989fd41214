// Operations on single rows between the matrix products, per ISA.
#ifndef SRC_QWEN3_LINEAR_ROW_KERNELS_H_
#define SRC_QWEN3_LINEAR_ROW_KERNELS_H_

#include <cstdint>

#include "src/base/data_type.h"
#include "src/simd/isa.h"

namespace attention {

struct RowKernels {
  // y = x / sqrt(mean(x^2) + epsilon) * weight, n elements (Zhang & Sennrich 2019). y may be x.
  void (*rms_norm)(const float* x, const float* weight, int64_t n, float epsilon, float* y);
  // The two coordinates (x[i], x[half + i]) turned by the angle of (cos[i], sin[i]); in place.
  void (*rotate_half)(float* x, const float* cos, const float* sin, int64_t half);
  // y[16 g + i] = silu(x[32 g + i]) * x[32 g + 16 + i], silu(a) = a / (1 + e^-a): gates and ups lie in
  // alternating groups of 16, as GateUpRow() in weights.h orders them.
  void (*swiglu)(const float* x, int64_t groups, float* y);
  // As Bfloat16::FromFloat, n elements.
  void (*round_to_bfloat16)(const float* x, int64_t n, Bfloat16* y);
};

// Throws Error if this CPU does not run the ISA.
const RowKernels& GetRowKernels(Isa isa);

}  // namespace attention

#endif  // SRC_QWEN3_LINEAR_ROW_KERNELS_H_
