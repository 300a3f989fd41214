// The register-blocked product under every kernel: C[kTileRows][vectors] += sum_k A(., k) x B[k][.].
//
// A lane is a query. A is a scalar broadcast from memory (a key's element, or a value's), B a row of vectors
// over queries (Q transposed, or the softmax weights). No operand is ever shuffled and nothing is reduced
// across lanes.
//
// Per k, AVX-512: 24 multiply-adds (12 cycles on two 512-bit units) against 3 vector loads and 8 broadcasts
// (5.5 cycles on two load ports): bound by the multiply-adds. AVX2: 12 against 7.
#if defined(SRC_SIMD_TILE_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SRC_SIMD_TILE_GEMM_INL_H_
#undef SRC_SIMD_TILE_GEMM_INL_H_
#else
#define SRC_SIMD_TILE_GEMM_INL_H_
#endif

#include "src/simd/simd_base-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention {
namespace HWY_NAMESPACE {

template <int kVectors>
struct Accumulators {
  FloatVec c[kTileRows][kVectors];

  HWY_INLINE void SetZero() {
    const FloatTag df;
    ATTENTION_UNROLL
    for (int i = 0; i < kTileRows; ++i) {
      ATTENTION_UNROLL
      for (int j = 0; j < kVectors; ++j) c[i][j] = hn::Zero(df);
    }
  }
};

// A as kTileRows rows of their own, k contiguous: keys as they lie in memory.
struct RowsOperand {
  const float* row[kTileRows];
  HWY_INLINE float At(int i, int64_t k) const { return row[i][k]; }
};

// A packed: kTileRows neighbours per k.
struct PanelOperand {
  const float* panel;
  HWY_INLINE float At(int i, int64_t k) const { return panel[k * kTileRows + i]; }
};

// b: row k starts at b + k * b_stride (floats, vector-aligned). Vectors before kFirst are left alone.
template <int kFirst, int kVectors, class Operand>
HWY_INLINE void MultiplyAccumulate(const Operand& a, const float* HWY_RESTRICT b, int64_t b_stride,
                                   int64_t begin, int64_t end, Accumulators<kVectors>& acc) {
  const FloatTag df;
  for (int64_t k = begin; k < end; ++k) {
    FloatVec row[kVectors];
    ATTENTION_UNROLL
    for (int j = kFirst; j < kVectors; ++j) row[j] = hn::Load(df, b + k * b_stride + j * kLanes);
    ATTENTION_UNROLL
    for (int i = 0; i < kTileRows; ++i) {
      const FloatVec scalar = hn::Set(df, a.At(i, k));
      ATTENTION_UNROLL
      for (int j = kFirst; j < kVectors; ++j) acc.c[i][j] = hn::MulAdd(scalar, row[j], acc.c[i][j]);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace attention
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
