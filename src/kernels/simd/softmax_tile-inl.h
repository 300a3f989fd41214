// Scores and their softmax on one block of columns. A lane is a query, so maximum, sum and rescaling are
// vertical.
#if defined(SRC_KERNELS_SIMD_SOFTMAX_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SRC_KERNELS_SIMD_SOFTMAX_TILE_INL_H_
#undef SRC_KERNELS_SIMD_SOFTMAX_TILE_INL_H_
#else
#define SRC_KERNELS_SIMD_SOFTMAX_TILE_INL_H_
#endif

#include <limits>

#include "hwy/cache_control.h"
#include "src/kernels/simd/tile_kernels.h"
#include "src/simd/elements-inl.h"
#include "src/simd/exp-inl.h"
#include "src/simd/layout-inl.h"
#include "src/simd/simd_base-inl.h"
#include "src/simd/tile_gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention {
namespace HWY_NAMESPACE {

// How far each vector of a block needs to go: vector j sees no key from vector_keys[j] on. Positions rise
// along the columns, so under a causal mask the leading vectors end first; the diagonal costs no more than it
// must.
template <int kVectors>
struct VectorKeys {
  int64_t end[kVectors];

  HWY_INLINE VectorKeys(const int32_t* vector_keys, int64_t keys) {
    for (int j = 0; j < kVectors; ++j) end[j] = vector_keys == nullptr ? keys : vector_keys[j];
  }
};

// Stores one register tile of S^T whose first key is `key`, hidden entries as -inf, and raises the maximum.
// The maximum stays in memory between tiles: the product needs every register.
template <bool kMasked, int kFirst, int kVectors>
HWY_INLINE void StoreScores(const Accumulators<kVectors>& acc, int64_t key, const ScoreArguments& arguments) {
  const FloatTag df;
  const IntTag di;
  constexpr int64_t kWidth = kVectors * kLanes;
  float* to = arguments.scores + key * kWidth;
  ATTENTION_UNROLL
  for (int j = kFirst; j < kVectors; ++j) {
    FloatVec maximum = hn::Load(df, arguments.maximum + j * kLanes);
    ATTENTION_UNROLL
    for (int i = 0; i < kTileRows; ++i) {
      FloatVec s = acc.c[i][j];
      if constexpr (kMasked) {
        const auto limit = hn::Load(di, arguments.limits + j * kLanes);
        auto hidden = hn::Gt(hn::Set(di, static_cast<int32_t>(key + i)), limit);
        if (arguments.first_keys != nullptr) {
          const auto first_key = hn::Load(di, arguments.first_keys + j * kLanes);
          hidden = hn::Or(hidden, hn::Lt(hn::Set(di, static_cast<int32_t>(key + i)), first_key));
        }
        s = hn::IfThenElse(hn::RebindMask(df, hidden), hn::Set(df, -std::numeric_limits<float>::infinity()),
                           s);
      }
      hn::Store(s, df, to + i * kWidth + j * kLanes);
      maximum = hn::Max(maximum, s);
    }
    hn::Store(maximum, df, arguments.maximum + j * kLanes);
  }
}

// Key rows as the product wants them: float32 rows as they lie in memory, bf16 rows widened into `buffer`.
struct KeyBuffer {
  HWY_ALIGN float row[kTileRows][kMaxHeadDim];
};
HWY_INLINE const float* WidenRow(const float* row, int64_t /*head_dim*/, float* /*buffer*/) { return row; }
HWY_INLINE const float* WidenRow(const Bfloat16* row, int64_t head_dim, float* buffer) {
  const FloatTag df;
  int64_t d = 0;
  for (; d + kLanes <= head_dim; d += kLanes) hn::Store(LoadElements(df, row + d), df, buffer + d);
  for (; d < head_dim; ++d) buffer[d] = LoadElement(row + d);
  return buffer;
}

// One register tile. While it is computed, the next keys' rows are fetched into L1: one line per row and 16
// steps of head_dim.
template <bool kMasked, int kFirst, int kVectors, typename T>
HWY_INLINE void ScoreTile(int64_t key, const ScoreArguments& arguments, KeyBuffer* buffer) {
  constexpr int64_t kLine = 16;
  const T* k = static_cast<const T*>(arguments.k);
  const float* q = static_cast<const float*>(arguments.q);
  RowsOperand rows;
  ATTENTION_UNROLL
  for (int i = 0; i < kTileRows; ++i) {
    // Rows past the end repeat the last key and are masked.
    const T* row = k + (kMasked ? HWY_MIN(key + i, arguments.keys - 1) : key + i) * arguments.k_stride;
    rows.row[i] = WidenRow(row, arguments.head_dim, buffer == nullptr ? nullptr : buffer->row[i]);
  }
  const T* next = k + (key + kTileRows) * arguments.k_stride;
  Accumulators<kVectors> acc;
  acc.SetZero();
  for (int64_t d = 0; d < arguments.head_dim; d += kLine) {
    ATTENTION_UNROLL
    for (int i = 0; i < kTileRows; ++i) hwy::Prefetch(next + i * arguments.k_stride + d);
    MultiplyAccumulate<kFirst>(rows, q, kVectors * kLanes, d, HWY_MIN(d + kLine, arguments.head_dim), acc);
  }
  StoreScores<kMasked, kFirst>(acc, key, arguments);
}

// See TileKernels::scores.
template <int kVectors, typename T>
HWY_INLINE void Scores(const ScoreArguments& arguments, KeyBuffer* buffer) {
  const VectorKeys<kVectors> vector_keys(arguments.vector_keys, arguments.keys);
  for (int64_t key = 0; key < arguments.keys; key += kTileRows) {
    if (key >= arguments.unmasked_begin && key + kTileRows <= arguments.unmasked_end) {
      ScoreTile<false, 0, kVectors, T>(key, arguments, buffer);
    } else if (key < vector_keys.end[0]) {
      ScoreTile<true, 0, kVectors, T>(key, arguments, buffer);
    } else if (kVectors == 2 || key < vector_keys.end[kVectors > 1 ? 1 : 0]) {
      ScoreTile<true, (kVectors > 1 ? 1 : 0), kVectors, T>(key, arguments, buffer);
    } else {
      ScoreTile<true, kVectors - 1, kVectors, T>(key, arguments, buffer);
    }
  }
}

// Subtracting -inf from -inf would give NaN: a column that saw nothing is measured from 0 instead, and its
// weights come out as 2^-inf = 0.
HWY_INLINE FloatVec SafeMaximum(FloatVec maximum) {
  const FloatTag df;
  return hn::IfThenZeroElse(hn::Eq(maximum, hn::Set(df, -std::numeric_limits<float>::infinity())), maximum);
}

// Scores of keys [begin, end) and vectors from kFirst on.
template <int kFirst, int kVectors>
HWY_INLINE void ExponentialRows(float* HWY_RESTRICT scores, int64_t begin, int64_t end,
                                const FloatVec (&reference)[kVectors], FloatVec (&total)[kVectors]) {
  const FloatTag df;
  constexpr int64_t kWidth = kVectors * kLanes;
  for (int64_t key = begin; key < end; ++key) {
    ATTENTION_UNROLL
    for (int j = kFirst; j < kVectors; ++j) {
      float* s = scores + key * kWidth + j * kLanes;
      const FloatVec p = Exp2(hn::Sub(hn::Load(df, s), reference[j]));
      hn::Store(p, df, s);
      total[j] = hn::Add(total[j], p);
    }
  }
}

// See TileKernels::exponentials.
template <int kVectors>
HWY_INLINE void Exponentials(const ExponentialArguments& arguments) {
  const FloatTag df;
  const VectorKeys<kVectors> vector_keys(arguments.vector_keys, arguments.keys);
  FloatVec reference[kVectors], total[kVectors];
  ATTENTION_UNROLL
  for (int j = 0; j < kVectors; ++j) {
    reference[j] = SafeMaximum(hn::Load(df, arguments.maximum + j * kLanes));
    total[j] = hn::Zero(df);
  }
  ExponentialRows<0>(arguments.scores, 0, vector_keys.end[0], reference, total);
  if constexpr (kVectors > 1) {
    ExponentialRows<1>(arguments.scores, vector_keys.end[0], vector_keys.end[1], reference, total);
  }
  if constexpr (kVectors > 2) {
    ExponentialRows<2>(arguments.scores, vector_keys.end[1], vector_keys.end[2], reference, total);
  }
  ATTENTION_UNROLL
  for (int j = 0; j < kVectors; ++j) {
    hn::Store(hn::Add(hn::Load(df, arguments.sum + j * kLanes), total[j]), df, arguments.sum + j * kLanes);
  }
}

// See TileKernels::move_maximum.
HWY_INLINE void MoveMaximum(int vectors, const float* new_m, float* m, float* l, float* rescale) {
  const FloatTag df;
  for (int64_t c = 0; c < static_cast<int64_t>(vectors) * kLanes; c += kLanes) {
    const FloatVec maximum = hn::Load(df, new_m + c);
    const FloatVec old = hn::Load(df, m + c);
    // Exactly 1 where the maximum stayed: 2^0 is off by an ULP, and would be applied once per tile of keys.
    const FloatVec factor =
        hn::IfThenElse(hn::Eq(old, maximum), hn::Set(df, 1.0f), Exp2(hn::Sub(old, SafeMaximum(maximum))));
    hn::Store(factor, df, rescale + c);
    hn::Store(hn::Mul(hn::Load(df, l + c), factor), df, l + c);
    hn::Store(maximum, df, m + c);
  }
}

// Keys [begin, end) of one panel; the next panel's same keys are fetched into L1 meanwhile.
template <int kFirst, int kVectors>
HWY_INLINE void AddWeightedRows(const WeightedSumArguments& arguments, const PanelOperand& panel,
                                int64_t begin, int64_t end, Accumulators<kVectors>& acc) {
  constexpr int64_t kLine = 16;
  for (int64_t key = begin; key < end; key += kLine) {
    ATTENTION_UNROLL
    for (int i = 0; i < kTileRows; ++i) {
      hwy::Prefetch(panel.panel + arguments.panel_stride + key * kTileRows + i * kLine);
    }
    MultiplyAccumulate<kFirst>(panel, arguments.scores, kVectors * kLanes, key, HWY_MIN(key + kLine, end),
                               acc);
  }
}

// See TileKernels::weighted_sum. The rescaling of the online softmax rides on the accumulators' load.
template <int kVectors>
HWY_INLINE void WeightedSum(const WeightedSumArguments& arguments) {
  const FloatTag df;
  constexpr int64_t kWidth = kVectors * kLanes;
  const VectorKeys<kVectors> vector_keys(arguments.vector_keys, arguments.keys);
  for (int64_t d = 0; d < arguments.head_dim; d += kTileRows) {
    float* HWY_RESTRICT o = arguments.o + d * kWidth;
    Accumulators<kVectors> acc;
    if (arguments.rescale == nullptr) {
      acc.SetZero();
    } else {
      ATTENTION_UNROLL
      for (int j = 0; j < kVectors; ++j) {
        const FloatVec rescale = hn::Load(df, arguments.rescale + j * kLanes);
        ATTENTION_UNROLL
        for (int i = 0; i < kTileRows; ++i) {
          acc.c[i][j] = hn::Mul(hn::Load(df, o + i * kWidth + j * kLanes), rescale);
        }
      }
    }
    const PanelOperand panel{static_cast<const float*>(arguments.values) +
                             d / kTileRows * arguments.panel_stride};
    AddWeightedRows<0>(arguments, panel, 0, vector_keys.end[0], acc);
    if constexpr (kVectors > 1) {
      AddWeightedRows<1>(arguments, panel, vector_keys.end[0], vector_keys.end[1], acc);
    }
    if constexpr (kVectors > 2) {
      AddWeightedRows<2>(arguments, panel, vector_keys.end[1], vector_keys.end[2], acc);
    }
    ATTENTION_UNROLL
    for (int i = 0; i < kTileRows; ++i) {
      ATTENTION_UNROLL
      for (int j = 0; j < kVectors; ++j) hn::Store(acc.c[i][j], df, o + i * kWidth + j * kLanes);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace attention
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
