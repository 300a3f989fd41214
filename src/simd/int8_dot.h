// How code for the CPU's integer dot products (AVX512_VNNI) is compiled: Highway 1.0.3 has no operation for
// them. Whether the CPU runs it: HasInt8Dot() in isa.h.
#ifndef SRC_SIMD_INT8_DOT_H_
#define SRC_SIMD_INT8_DOT_H_

#include "hwy/base.h"

// Around the functions, outside namespaces.
#define ATTENTION_BEFORE_INT8_DOT HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")
#define ATTENTION_AFTER_INT8_DOT HWY_POP_ATTRIBUTES

#endif  // SRC_SIMD_INT8_DOT_H_
