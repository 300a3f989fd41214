// How code for the CPU's bf16 dot products (AVX512_BF16) is compiled: Highway 1.0.3 has no target for it.
// Whether the CPU runs it: HasBfloat16Dot() in isa.h.
#ifndef SRC_SIMD_BFLOAT16_DOT_H_
#define SRC_SIMD_BFLOAT16_DOT_H_

#include "hwy/base.h"

#define ATTENTION_BFLOAT16_DOT_TARGETS "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16"

// Around the functions, outside namespaces.
#define ATTENTION_BEFORE_BFLOAT16_DOT HWY_PUSH_ATTRIBUTES(ATTENTION_BFLOAT16_DOT_TARGETS)
#define ATTENTION_AFTER_BFLOAT16_DOT HWY_POP_ATTRIBUTES

#endif  // SRC_SIMD_BFLOAT16_DOT_H_
