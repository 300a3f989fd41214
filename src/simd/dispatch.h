// From an ISA to the code that was compiled for it: the one place that knows Highway's names of the targets.
//
// A source that is compiled once per target (hwy/foreach_target.h) defines the same functions in a namespace
// per target. Include this inside `#if HWY_ONCE`. Such a source defines HWY_DISABLED_TARGETS as
// (HWY_SSSE3 | HWY_AVX3_DL) first: these would be code that nobody asks for.
#ifndef SRC_SIMD_DISPATCH_H_
#define SRC_SIMD_DISPATCH_H_

#include "src/base/error.h"
#include "src/simd/isa.h"

// The expression `name` of the namespace that serves `isa`: ATTENTION_FOR_ISA(isa, Table<float>()). All of
// them must have one type.
#define ATTENTION_FOR_ISA(isa, ...)           \
  [&] {                                       \
    switch (::attention::RowOf(isa).target) { \
      case ::attention::SimdTarget::kScalar:  \
        return N_SCALAR::__VA_ARGS__;         \
      case ::attention::SimdTarget::kSse4:    \
        return N_SSE4::__VA_ARGS__;           \
      case ::attention::SimdTarget::kAvx2:    \
        return N_AVX2::__VA_ARGS__;           \
      case ::attention::SimdTarget::kAvx3:    \
        return N_AVX3::__VA_ARGS__;           \
    }                                         \
    ::attention::FailUsage("unknown ISA");    \
  }()

#endif  // SRC_SIMD_DISPATCH_H_
