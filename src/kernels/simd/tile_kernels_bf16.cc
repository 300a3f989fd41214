// The tile kernels on AVX512_BF16, which Highway 1.0.3 has no target for: the loops of tile_gemm-inl.h and
// softmax_tile-inl.h with vdpbf16ps, two products per lane and instruction, accumulated in float32.
//
// The two products of a lane are neighbours along the summed axis: elements 2i, 2i+1 of head_dim for the
// scores, keys 2i, 2i+1 for the weighted sum. A *pair* is one 32-bit word. Keys give their pairs as they lie
// in memory; queries are transposed as words; values are packed as pairs of keys; weights are rounded to bf16
// and paired by integer operations, in place (pair row i overwrites score row i, which has been read).
#include "src/kernels/simd/tile_kernels_bf16.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "src/base/data_type.h"
#include "src/simd/bfloat16_dot.h"
#include "src/simd/unroll.h"

ATTENTION_BEFORE_BFLOAT16_DOT

namespace attention {
namespace {

constexpr int kLanes = 16;
constexpr int kRows = 8;
constexpr int kMaxVectors = 3;
constexpr int64_t kLine = 16;  // words

HWY_INLINE __m512 DotPairs(__m512 acc, uint32_t scalar_pair, __m512i pairs) {
  const __m512i scalar = _mm512_set1_epi32(static_cast<int>(scalar_pair));
  return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(scalar), reinterpret_cast<__m512bh>(pairs));
}

HWY_INLINE uint32_t LoadPair(const Bfloat16* from) {
  uint32_t pair;
  std::memcpy(&pair, from, sizeof(pair));
  return pair;
}

template <int kVectors>
struct Accumulators {
  __m512 c[kRows][kVectors];
};

template <int kVectors>
HWY_INLINE void SetZero(Accumulators<kVectors>& acc) {
  ATTENTION_UNROLL
  for (int i = 0; i < kRows; ++i) {
    ATTENTION_UNROLL
    for (int j = 0; j < kVectors; ++j) acc.c[i][j] = _mm512_setzero_ps();
  }
}

// One pair step of a register tile: b holds the vectors' pairs, pair_of(i) row i's.
template <int kFirst, int kVectors, typename PairOf>
HWY_INLINE void MultiplyAccumulate(const PairOf& pair_of, const uint32_t* b, Accumulators<kVectors>& acc) {
  __m512i row[kVectors];
  ATTENTION_UNROLL
  for (int j = kFirst; j < kVectors; ++j) row[j] = _mm512_load_si512(b + j * kLanes);
  ATTENTION_UNROLL
  for (int i = 0; i < kRows; ++i) {
    const uint32_t pair = pair_of.At(i);
    ATTENTION_UNROLL
    for (int j = kFirst; j < kVectors; ++j) acc.c[i][j] = DotPairs(acc.c[i][j], pair, row[j]);
  }
}

struct RowPairs {
  const Bfloat16* const* row;
  int64_t pair;
  HWY_INLINE uint32_t At(int i) const { return LoadPair(row[i] + 2 * pair); }
};

struct PanelPairs {
  const Bfloat16* pairs;  // [kRows][2]
  HWY_INLINE uint32_t At(int i) const { return LoadPair(pairs + 2 * i); }
};

template <int kVectors>
HWY_INLINE void VectorEnds(const int32_t* vector_keys, int64_t keys, int64_t (&end)[kVectors]) {
  for (int j = 0; j < kVectors; ++j) end[j] = vector_keys == nullptr ? keys : vector_keys[j];
}

template <bool kMasked, int kFirst, int kVectors>
HWY_INLINE void ScoreTile(int64_t key, const ScoreArguments& arguments) {
  constexpr int64_t kWidth = kVectors * kLanes;
  const Bfloat16* row[kRows];
  ATTENTION_UNROLL
  for (int i = 0; i < kRows; ++i) {
    const int64_t at = kMasked ? std::min(key + i, arguments.keys - 1) : key + i;
    row[i] = static_cast<const Bfloat16*>(arguments.k) + at * arguments.k_stride;
  }
  const uint32_t* q = static_cast<const uint32_t*>(arguments.q);
  const int64_t pairs = arguments.head_dim / 2;
  Accumulators<kVectors> acc;
  SetZero(acc);
  for (int64_t begin = 0; begin < pairs; begin += kLine) {
    ATTENTION_UNROLL
    for (int i = 0; i < kRows; ++i) {
      _mm_prefetch(reinterpret_cast<const char*>(row[i] + kRows * arguments.k_stride + 2 * begin),
                   _MM_HINT_T0);
    }
    const int64_t end = std::min(begin + kLine, pairs);
    for (int64_t pair = begin; pair < end; ++pair) {
      MultiplyAccumulate<kFirst>(RowPairs{row, pair}, q + pair * kWidth, acc);
    }
  }
  const __m512 scale = _mm512_set1_ps(arguments.scale);
  ATTENTION_UNROLL
  for (int j = kFirst; j < kVectors; ++j) {
    __m512 maximum = _mm512_load_ps(arguments.maximum + j * kLanes);
    ATTENTION_UNROLL
    for (int i = 0; i < kRows; ++i) {
      __m512 s = _mm512_mul_ps(acc.c[i][j], scale);
      if constexpr (kMasked) {
        __mmask16 hidden = _mm512_cmpgt_epi32_mask(_mm512_set1_epi32(static_cast<int>(key + i)),
                                                   _mm512_load_si512(arguments.limits + j * kLanes));
        if (arguments.first_keys != nullptr) {
          hidden |= _mm512_cmplt_epi32_mask(_mm512_set1_epi32(static_cast<int>(key + i)),
                                            _mm512_load_si512(arguments.first_keys + j * kLanes));
        }
        s = _mm512_mask_mov_ps(s, hidden, _mm512_set1_ps(-std::numeric_limits<float>::infinity()));
      }
      _mm512_store_ps(arguments.scores + (key + i) * kWidth + j * kLanes, s);
      maximum = _mm512_max_ps(maximum, s);
    }
    _mm512_store_ps(arguments.maximum + j * kLanes, maximum);
  }
}

template <int kVectors>
HWY_INLINE void Scores(const ScoreArguments& arguments) {
  int64_t end[kVectors];
  VectorEnds(arguments.vector_keys, arguments.keys, end);
  for (int64_t key = 0; key < arguments.keys; key += kRows) {
    if (key >= arguments.unmasked_begin && key + kRows <= arguments.unmasked_end) {
      ScoreTile<false, 0, kVectors>(key, arguments);
    } else if (key < end[0]) {
      ScoreTile<true, 0, kVectors>(key, arguments);
    } else if (kVectors == 2 || key < end[kVectors > 1 ? 1 : 0]) {
      ScoreTile<true, (kVectors > 1 ? 1 : 0), kVectors>(key, arguments);
    } else {
      ScoreTile<true, kVectors - 1, kVectors>(key, arguments);
    }
  }
}

// As Exp2 in exp-inl.h.
HWY_INLINE __m512 Exp2(__m512 x) {
  const __m512 f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 p = _mm512_set1_ps(0x1.ec320ap-10f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.26900cp-7f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.c95446p-5f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.ebd5a8p-3f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.62e4f6p-1f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.fffffep-1f));
  return _mm512_scalef_ps(p, x);
}

// bf16(low) in the lower halves, bf16(high) in the upper ones; to nearest, ties up (weights are in [0, 1];
// NaN stays NaN because the polynomial's NaN has its upper bits set).
HWY_INLINE __m512i RoundToPairs(__m512 low, __m512 high) {
  const __m512i half = _mm512_set1_epi32(0x8000);
  const __m512i low_bits = _mm512_srli_epi32(_mm512_add_epi32(_mm512_castps_si512(low), half), 16);
  const __m512i high_bits = _mm512_add_epi32(_mm512_castps_si512(high), half);
  return _mm512_mask_mov_epi16(low_bits, 0xAAAAAAAAu, high_bits);
}

template <int kFirst, int kVectors>
HWY_INLINE void ExponentialRows(float* scores, int64_t begin, int64_t end,
                                const __m512 (&reference)[kVectors], __m512 (&total)[kVectors]) {
  constexpr int64_t kWidth = kVectors * kLanes;
  for (int64_t key = begin; key < end; key += 2) {
    ATTENTION_UNROLL
    for (int j = kFirst; j < kVectors; ++j) {
      const float* s = scores + key * kWidth + j * kLanes;
      const __m512 low = Exp2(_mm512_sub_ps(_mm512_load_ps(s), reference[j]));
      // The partner of an odd last key weighs nothing.
      const __m512 high =
          key + 1 < end ? Exp2(_mm512_sub_ps(_mm512_load_ps(s + kWidth), reference[j])) : _mm512_setzero_ps();
      total[j] = _mm512_add_ps(total[j], _mm512_add_ps(low, high));
      _mm512_store_si512(scores + key / 2 * kWidth + j * kLanes, RoundToPairs(low, high));
    }
  }
}

template <int kVectors>
HWY_INLINE void Exponentials(const ExponentialArguments& arguments) {
  int64_t end[kVectors];
  VectorEnds(arguments.vector_keys, arguments.keys, end);
  __m512 reference[kVectors], total[kVectors];
  ATTENTION_UNROLL
  for (int j = 0; j < kVectors; ++j) {
    const __m512 maximum = _mm512_load_ps(arguments.maximum + j * kLanes);
    const __mmask16 empty =
        _mm512_cmp_ps_mask(maximum, _mm512_set1_ps(-std::numeric_limits<float>::infinity()), _CMP_EQ_OQ);
    reference[j] = _mm512_mask_mov_ps(maximum, empty, _mm512_setzero_ps());
    total[j] = _mm512_setzero_ps();
  }
  ExponentialRows<0>(arguments.scores, 0, end[0], reference, total);
  if constexpr (kVectors > 1) ExponentialRows<1>(arguments.scores, end[0], end[1], reference, total);
  if constexpr (kVectors > 2) ExponentialRows<2>(arguments.scores, end[1], end[2], reference, total);
  ATTENTION_UNROLL
  for (int j = 0; j < kVectors; ++j) {
    float* sum = arguments.sum + j * kLanes;
    _mm512_store_ps(sum, _mm512_add_ps(_mm512_load_ps(sum), total[j]));
  }
}

template <int kFirst, int kVectors>
HWY_INLINE void AddWeightedRows(const WeightedSumArguments& arguments, const Bfloat16* panel, int64_t begin,
                                int64_t end, Accumulators<kVectors>& acc) {
  constexpr int64_t kWidth = kVectors * kLanes;
  const uint32_t* weights = reinterpret_cast<const uint32_t*>(arguments.scores);
  // The pair of an odd end holds a zero weight; only an empty range begins at an odd key.
  for (int64_t run = (begin + 1) / 2; run < (end + 1) / 2; run += kLine) {
    ATTENTION_UNROLL
    for (int i = 0; i < kRows; ++i) {
      _mm_prefetch(
          reinterpret_cast<const char*>(panel + arguments.panel_stride + run * 2 * kRows + i * 2 * kLine),
          _MM_HINT_T0);
    }
    const int64_t run_end = std::min(run + kLine, (end + 1) / 2);
    for (int64_t pair = run; pair < run_end; ++pair) {
      MultiplyAccumulate<kFirst>(PanelPairs{panel + pair * 2 * kRows}, weights + pair * kWidth, acc);
    }
  }
}

template <int kVectors>
HWY_INLINE void WeightedSum(const WeightedSumArguments& arguments) {
  constexpr int64_t kWidth = kVectors * kLanes;
  int64_t end[kVectors];
  VectorEnds(arguments.vector_keys, arguments.keys, end);
  for (int64_t d = 0; d < arguments.head_dim; d += kRows) {
    float* o = arguments.o + d * kWidth;
    Accumulators<kVectors> acc;
    if (arguments.rescale == nullptr) {
      SetZero(acc);
    } else {
      ATTENTION_UNROLL
      for (int j = 0; j < kVectors; ++j) {
        const __m512 rescale = _mm512_load_ps(arguments.rescale + j * kLanes);
        ATTENTION_UNROLL
        for (int i = 0; i < kRows; ++i) {
          acc.c[i][j] = _mm512_mul_ps(_mm512_load_ps(o + i * kWidth + j * kLanes), rescale);
        }
      }
    }
    const Bfloat16* panel =
        static_cast<const Bfloat16*>(arguments.values) + d / kRows * arguments.panel_stride;
    AddWeightedRows<0>(arguments, panel, 0, end[0], acc);
    if constexpr (kVectors > 1) AddWeightedRows<1>(arguments, panel, end[0], end[1], acc);
    if constexpr (kVectors > 2) AddWeightedRows<2>(arguments, panel, end[1], end[2], acc);
    ATTENTION_UNROLL
    for (int i = 0; i < kRows; ++i) {
      ATTENTION_UNROLL
      for (int j = 0; j < kVectors; ++j) _mm512_store_ps(o + i * kWidth + j * kLanes, acc.c[i][j]);
    }
  }
}

// Values -> panels of pairs: panel p, pair k/2, element i, key parity: [p][k/2][kRows][2].
void PackValues(const void* v, int64_t v_stride, int64_t keys, int64_t head_dim, int64_t panel_stride,
                void* values) {
  const Bfloat16* from = static_cast<const Bfloat16*>(v);
  Bfloat16* to = static_cast<Bfloat16*>(values);
  alignas(64) static constexpr Bfloat16 kZeros[256] = {};
  const int64_t whole = head_dim / kRows;
  for (int64_t key = 0; key < keys; key += 2) {
    const Bfloat16* even = from + key * v_stride;
    const Bfloat16* odd = key + 1 < keys ? even + v_stride : kZeros;
    Bfloat16* pair_row = to + key * kRows;
    for (int64_t p = 0; p < whole; ++p) {
      const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(even + p * kRows));
      const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(odd + p * kRows));
      __m128i* out = reinterpret_cast<__m128i*>(pair_row + p * panel_stride);
      _mm_store_si128(out, _mm_unpacklo_epi16(a, b));
      _mm_store_si128(out + 1, _mm_unpackhi_epi16(a, b));
    }
    if (whole * kRows == head_dim) continue;
    Bfloat16* out = pair_row + whole * panel_stride;
    for (int64_t i = 0; i < kRows; ++i) {
      const int64_t d = whole * kRows + i;
      out[2 * i] = d < head_dim ? even[d] : Bfloat16{0};
      out[2 * i + 1] = d < head_dim ? odd[d] : Bfloat16{0};
    }
  }
}

void ScoresAnyWidth(const ScoreArguments& arguments) {
  switch (arguments.vectors) {
    case 1:
      return Scores<1>(arguments);
    case 2:
      return Scores<2>(arguments);
    default:
      return Scores<kMaxVectors>(arguments);
  }
}

void ExponentialsAnyWidth(const ExponentialArguments& arguments) {
  switch (arguments.vectors) {
    case 1:
      return Exponentials<1>(arguments);
    case 2:
      return Exponentials<2>(arguments);
    default:
      return Exponentials<kMaxVectors>(arguments);
  }
}

void WeightedSumAnyWidth(const WeightedSumArguments& arguments) {
  switch (arguments.vectors) {
    case 1:
      return WeightedSum<1>(arguments);
    case 2:
      return WeightedSum<2>(arguments);
    default:
      return WeightedSum<kMaxVectors>(arguments);
  }
}

}  // namespace
}  // namespace attention

ATTENTION_AFTER_BFLOAT16_DOT

namespace attention {

void UseBfloat16Dot(TileKernels& kernels) {
  kernels.packed_bytes = 2;
  kernels.key_granule = 2;
  kernels.pack_values = PackValues;
  kernels.scores = ScoresAnyWidth;
  kernels.exponentials = ExponentialsAnyWidth;
  kernels.weighted_sum = WeightedSumAnyWidth;
}

}  // namespace attention

#else

namespace attention {

void UseBfloat16Dot(TileKernels&) {}

}  // namespace attention

#endif
