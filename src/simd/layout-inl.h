// Moves between rows in memory and the kernels' layouts: transposition of queries and outputs, packing of
// values.
#if defined(SRC_SIMD_LAYOUT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SRC_SIMD_LAYOUT_INL_H_
#undef SRC_SIMD_LAYOUT_INL_H_
#else
#define SRC_SIMD_LAYOUT_INL_H_
#endif

#include "hwy/cache_control.h"
#include "src/base/tensor_view.h"
#include "src/simd/elements-inl.h"
#include "src/simd/simd_base-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention {
namespace HWY_NAMESPACE {

HWY_INLINE int64_t RoundUpToTileRows(int64_t n) { return (n + kTileRows - 1) / kTileRows * kTileRows; }

// The kLanes x kLanes matrix in `a` (a[r] is row r), transposed in registers: 4x4 blocks change places, then
// each is transposed inside its 128 bits.
HWY_INLINE void TransposeSquare(FloatVec (&a)[kLanes]) {
#if HWY_TARGET != HWY_SCALAR
  const FloatTag df;
#if HWY_TARGET <= HWY_AVX3
  ATTENTION_UNROLL
  for (int i = 0; i < 4; ++i) {
    const __m512 low01 = _mm512_shuffle_f32x4(a[i].raw, a[4 + i].raw, 0x44);
    const __m512 high01 = _mm512_shuffle_f32x4(a[i].raw, a[4 + i].raw, 0xEE);
    const __m512 low23 = _mm512_shuffle_f32x4(a[8 + i].raw, a[12 + i].raw, 0x44);
    const __m512 high23 = _mm512_shuffle_f32x4(a[8 + i].raw, a[12 + i].raw, 0xEE);
    a[i] = FloatVec{_mm512_shuffle_f32x4(low01, low23, 0x88)};
    a[4 + i] = FloatVec{_mm512_shuffle_f32x4(low01, low23, 0xDD)};
    a[8 + i] = FloatVec{_mm512_shuffle_f32x4(high01, high23, 0x88)};
    a[12 + i] = FloatVec{_mm512_shuffle_f32x4(high01, high23, 0xDD)};
  }
#elif HWY_TARGET <= HWY_AVX2
  ATTENTION_UNROLL
  for (int i = 0; i < 4; ++i) {
    const FloatVec low = hn::ConcatLowerLower(df, a[4 + i], a[i]);
    a[4 + i] = hn::ConcatUpperUpper(df, a[4 + i], a[i]);
    a[i] = low;
  }
#endif
  ATTENTION_UNROLL
  for (int i = 0; i < kLanes; i += 4) {
    const FloatVec t0 = hn::InterleaveLower(df, a[i], a[i + 2]),
                   t1 = hn::InterleaveLower(df, a[i + 1], a[i + 3]);
    const FloatVec t2 = hn::InterleaveUpper(df, a[i], a[i + 2]),
                   t3 = hn::InterleaveUpper(df, a[i + 1], a[i + 3]);
    a[i] = hn::InterleaveLower(df, t0, t1);
    a[i + 1] = hn::InterleaveUpper(df, t0, t1);
    a[i + 2] = hn::InterleaveLower(df, t2, t3);
    a[i + 3] = hn::InterleaveUpper(df, t2, t3);
  }
#else
  (void)a;
#endif
}

// See TileKernels::pack_queries. Without kScale the words only move, whatever they mean.
template <bool kScale, typename T>
HWY_INLINE void PackColumns(const void* const* rows, int64_t head_dim, int vectors, float factor,
                            float* columns) {
  alignas(64) static constexpr T kZeros[kMaxHeadDim] = {};
  const FloatTag df;
  const int64_t width = static_cast<int64_t>(vectors) * kLanes;
  const FloatVec scale = hn::Set(df, factor);
  for (int j = 0; j < vectors; ++j) {
    const T* row[kLanes];
    for (int c = 0; c < kLanes; ++c) {
      const T* given = static_cast<const T*>(rows[j * kLanes + c]);
      row[c] = given != nullptr ? given : kZeros;
    }
    float* to = columns + j * kLanes;
    int64_t d = 0;
    for (; d + kLanes <= head_dim; d += kLanes) {
      FloatVec a[kLanes];
      ATTENTION_UNROLL
      for (int c = 0; c < kLanes; ++c) {
        // The next vector's rows come into cache meanwhile: so many short streams are too many for the
        // hardware.
        if (kLanes > 1) {
          const T* ahead = static_cast<const T*>(rows[(j + 1) * kLanes + c]);
          if (ahead != nullptr) hwy::Prefetch(ahead + d);
        }
        a[c] = LoadElements(df, row[c] + d);
      }
      TransposeSquare(a);
      ATTENTION_UNROLL
      for (int i = 0; i < kLanes; ++i) {
        hn::Store(kScale ? hn::Mul(a[i], scale) : a[i], df, to + (d + i) * width);
      }
    }
    for (; d < head_dim; ++d) {
      for (int c = 0; c < kLanes; ++c) {
        const float element = LoadElement(row[c] + d);
        to[d * width + c] = kScale ? element * factor : element;
      }
    }
    for (; d < RoundUpToTileRows(head_dim); ++d) hn::Store(hn::Zero(df), df, to + d * width);
  }
}

// Whole cache lines past the caches: nobody reads them soon. kLanes floats; other sizes and places as usual.
HWY_INLINE void StoreRowPart(FloatVec v, bool stream, float* to) {
  const FloatTag df;
#if HWY_TARGET <= HWY_AVX3
  if (stream) {
    hn::Stream(v, df, to);
    return;
  }
#endif
  (void)stream;
  hn::StoreU(v, df, to);
}

// See TileKernels::unpack_columns.
HWY_INLINE void UnpackColumns(const float* o, int64_t head_dim, int vectors, const float* factors,
                              float* const* rows, bool stream) {
  const FloatTag df;
  const int64_t width = static_cast<int64_t>(vectors) * kLanes;
  float padding_row[kMaxHeadDim];
  for (int j = 0; j < vectors; ++j) {
    float* row[kLanes];
    bool streamed[kLanes];
    for (int c = 0; c < kLanes; ++c) {
      float* given = rows[j * kLanes + c];
      row[c] = given != nullptr ? given : padding_row;
      streamed[c] = stream && given != nullptr && reinterpret_cast<uintptr_t>(given) % 64 == 0;
    }
    const float* from = o + j * kLanes;
    const FloatVec factor = hn::Load(df, factors + j * kLanes);
    int64_t d = 0;
    for (; d + kLanes <= head_dim; d += kLanes) {
      FloatVec a[kLanes];
      ATTENTION_UNROLL
      for (int i = 0; i < kLanes; ++i) a[i] = hn::Mul(hn::Load(df, from + (d + i) * width), factor);
      TransposeSquare(a);
      ATTENTION_UNROLL
      for (int c = 0; c < kLanes; ++c) StoreRowPart(a[c], streamed[c], row[c] + d);
    }
    for (; d < head_dim; ++d) {
      HWY_ALIGN float lanes[kLanes];
      hn::Store(hn::Mul(hn::Load(df, from + d * width), factor), df, lanes);
      for (int c = 0; c < kLanes; ++c) row[c][d] = lanes[c];
    }
  }
  if (stream) hwy::FlushStream();
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
template <typename T>
HWY_INLINE void PackValues(const T* v, int64_t v_stride, int64_t keys, int64_t head_dim, int64_t panel_stride,
                           float* values) {
  const int64_t whole = head_dim / kTileRows;
  for (int64_t key = 0; key < keys; ++key) {
    const T* row = v + key * v_stride;
    float* to = values + key * kTileRows;
    for (int64_t p = 0; p < whole; ++p) {
#if HWY_TARGET == HWY_SCALAR
      for (int i = 0; i < kTileRows; ++i) to[p * panel_stride + i] = LoadElement(row + p * kTileRows + i);
#else
      const hn::FixedTag<float, kTileRows> panel;
      hn::Store(LoadElements(panel, row + p * kTileRows), panel, to + p * panel_stride);
#endif
    }
    for (int64_t d = whole * kTileRows; d < RoundUpToTileRows(head_dim); ++d) {
      to[whole * panel_stride + d - whole * kTileRows] = d < head_dim ? LoadElement(row + d) : 0.0f;
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace attention
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
