// Loops that the compiler must unroll, or must not.
#ifndef SRC_SIMD_UNROLL_H_
#define SRC_SIMD_UNROLL_H_

// Arrays of vectors live in registers only if every loop over them is unrolled completely; a loop that the
// hardware's prefetchers are to follow must stay one.
#if defined(__clang__)
#define ATTENTION_UNROLL _Pragma("clang loop unroll(full)")
#define ATTENTION_KEEP_LOOP _Pragma("clang loop unroll(disable)")
#else
#define ATTENTION_UNROLL _Pragma("GCC unroll 32")
#define ATTENTION_KEEP_LOOP _Pragma("GCC unroll 1")
#endif

#endif  // SRC_SIMD_UNROLL_H_
