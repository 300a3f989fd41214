// Moves between rows in memory and the kernels' layouts: transposition of queries and outputs, packing of
// values.
#if defined(SRC_KERNELS_LAYOUT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SRC_KERNELS_LAYOUT_INL_H_
#undef SRC_KERNELS_LAYOUT_INL_H_
#else
#define SRC_KERNELS_LAYOUT_INL_H_
#endif

#include "src/kernels/simd_base-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention {
namespace HWY_NAMESPACE {

constexpr int64_t kMaxHeadDim = 256;

HWY_INLINE int64_t RoundUpToTileRows(int64_t n) { return (n + kTileRows - 1) / kTileRows * kTileRows; }

#if HWY_TARGET != HWY_SCALAR
using QuadTag = hn::FixedTag<float, 4>;

// Vector whose 128-bit block b is the four floats at rows[4 * b] + d.
HWY_INLINE FloatVec GatherQuads(const float* const* rows, int64_t d) {
  const QuadTag quad;
  const auto b0 = hn::LoadU(quad, rows[0] + d);
#if HWY_TARGET <= HWY_AVX2
  const hn::FixedTag<float, 8> oct;
  const auto low = hn::Combine(oct, hn::LoadU(quad, rows[4] + d), b0);
#if HWY_TARGET <= HWY_AVX3
  const auto high = hn::Combine(oct, hn::LoadU(quad, rows[12] + d), hn::LoadU(quad, rows[8] + d));
  return hn::Combine(FloatTag(), high, low);
#else
  return low;
#endif
#else
  return b0;
#endif
}

// The reverse: block b goes to rows[4 * b] + d.
HWY_INLINE void ScatterQuads(FloatVec v, float* const* rows, int64_t d) {
  const QuadTag quad;
#if HWY_TARGET <= HWY_AVX2
#if HWY_TARGET <= HWY_AVX3
  const auto low = hn::LowerHalf(v);
  const auto high = hn::UpperHalf(hn::FixedTag<float, 8>(), v);
  hn::StoreU(hn::LowerHalf(high), quad, rows[8] + d);
  hn::StoreU(hn::UpperHalf(quad, high), quad, rows[12] + d);
#else
  const auto low = v;
#endif
  hn::StoreU(hn::LowerHalf(low), quad, rows[0] + d);
  hn::StoreU(hn::UpperHalf(quad, low), quad, rows[4] + d);
#else
  hn::StoreU(v, quad, rows[0] + d);
#endif
}

// 4x4 transposition inside each 128-bit block; its own inverse.
HWY_INLINE void TransposeQuads(FloatVec (&a)[4]) {
  const FloatTag df;
  const FloatVec t0 = hn::InterleaveLower(df, a[0], a[2]), t1 = hn::InterleaveLower(df, a[1], a[3]);
  const FloatVec t2 = hn::InterleaveUpper(df, a[0], a[2]), t3 = hn::InterleaveUpper(df, a[1], a[3]);
  a[0] = hn::InterleaveLower(df, t0, t1);
  a[1] = hn::InterleaveUpper(df, t0, t1);
  a[2] = hn::InterleaveLower(df, t2, t3);
  a[3] = hn::InterleaveUpper(df, t2, t3);
}
#endif  // HWY_TARGET != HWY_SCALAR

// See TileKernels::pack_columns.
HWY_INLINE void PackColumns(const float* const* rows, int64_t head_dim, int vectors, float factor,
                            float* columns) {
  static constexpr float kZeros[kMaxHeadDim] = {};
  const FloatTag df;
  const int64_t width = static_cast<int64_t>(vectors) * kLanes;
  [[maybe_unused]] const FloatVec scale = hn::Set(df, factor);
  for (int j = 0; j < vectors; ++j) {
    const float* row[kLanes];
    for (int c = 0; c < kLanes; ++c) {
      const float* given = rows[j * kLanes + c];
      row[c] = given != nullptr ? given : kZeros;
    }
    float* to = columns + j * kLanes;
    int64_t d = 0;
#if HWY_TARGET != HWY_SCALAR
    for (; d + 4 <= head_dim; d += 4) {
      FloatVec a[4];
      ATTENTION_UNROLL
      for (int i = 0; i < 4; ++i) a[i] = GatherQuads(row + i, d);
      TransposeQuads(a);
      ATTENTION_UNROLL
      for (int i = 0; i < 4; ++i) hn::Store(hn::Mul(a[i], scale), df, to + (d + i) * width);
    }
#endif
    for (; d < head_dim; ++d) {
      for (int c = 0; c < kLanes; ++c) to[d * width + c] = row[c][d] * factor;
    }
    for (; d < RoundUpToTileRows(head_dim); ++d) hn::Store(hn::Zero(df), df, to + d * width);
  }
}

// See TileKernels::unpack_columns.
HWY_INLINE void UnpackColumns(const float* o, int64_t head_dim, int vectors, const float* factors,
                              float* const* rows) {
  const FloatTag df;
  const int64_t width = static_cast<int64_t>(vectors) * kLanes;
  float padding_row[kMaxHeadDim];
  for (int j = 0; j < vectors; ++j) {
    float* row[kLanes];
    for (int c = 0; c < kLanes; ++c) {
      float* given = rows[j * kLanes + c];
      row[c] = given != nullptr ? given : padding_row;
    }
    const float* from = o + j * kLanes;
    const FloatVec factor = hn::Load(df, factors + j * kLanes);
    int64_t d = 0;
#if HWY_TARGET != HWY_SCALAR
    for (; d + 4 <= head_dim; d += 4) {
      FloatVec a[4];
      ATTENTION_UNROLL
      for (int i = 0; i < 4; ++i) a[i] = hn::Mul(hn::Load(df, from + (d + i) * width), factor);
      TransposeQuads(a);
      ATTENTION_UNROLL
      for (int i = 0; i < 4; ++i) ScatterQuads(a[i], row + i, d);
    }
#endif
    for (; d < head_dim; ++d) {
      const FloatVec value = hn::Mul(hn::Load(df, from + d * width), factor);
      HWY_ALIGN float lanes[kLanes];
      hn::Store(value, df, lanes);
      for (int c = 0; c < kLanes; ++c) row[c][d] = lanes[c];
    }
  }
}

// See TileKernels::flag_non_finite. 0 * x is 0 for finite x only.
HWY_INLINE void FlagNonFinite(const float* o, int64_t head_dim, int vectors, const float* l, float* flags) {
  const FloatTag df;
  const int64_t width = static_cast<int64_t>(vectors) * kLanes;
  const FloatVec zero = hn::Zero(df);
  for (int64_t c = 0; c < width; c += kLanes) {
    FloatVec flag = hn::Mul(hn::Load(df, l + c), zero);
    for (int64_t d = 0; d < head_dim; ++d) flag = hn::MulAdd(hn::Load(df, o + d * width + c), zero, flag);
    hn::Store(flag, df, flags + c);
  }
}

// See TileKernels::pack_values.
HWY_INLINE void PackValues(const float* v, int64_t v_stride, int64_t keys, int64_t head_dim,
                           int64_t panel_stride, float* values) {
  const int64_t whole = head_dim / kTileRows;
  for (int64_t key = 0; key < keys; ++key) {
    const float* row = v + key * v_stride;
    float* to = values + key * kTileRows;
    for (int64_t p = 0; p < whole; ++p) {
#if HWY_TARGET == HWY_SCALAR
      for (int i = 0; i < kTileRows; ++i) to[p * panel_stride + i] = row[p * kTileRows + i];
#else
      const hn::FixedTag<float, kTileRows> panel;
      hn::Store(hn::LoadU(panel, row + p * kTileRows), panel, to + p * panel_stride);
#endif
    }
    for (int64_t d = whole * kTileRows; d < RoundUpToTileRows(head_dim); ++d) {
      to[whole * panel_stride + d - whole * kTileRows] = d < head_dim ? row[d] : 0.0f;
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace attention
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
