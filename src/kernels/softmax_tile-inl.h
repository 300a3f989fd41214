// Scores and their softmax on one block of columns. A lane is a query, so maximum, sum and rescaling are
// vertical.
#if defined(SRC_KERNELS_SOFTMAX_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SRC_KERNELS_SOFTMAX_TILE_INL_H_
#undef SRC_KERNELS_SOFTMAX_TILE_INL_H_
#else
#define SRC_KERNELS_SOFTMAX_TILE_INL_H_
#endif

#include <limits>

#include "hwy/cache_control.h"
#include "src/kernels/exp-inl.h"
#include "src/kernels/simd_base-inl.h"
#include "src/kernels/tile_gemm-inl.h"
#include "src/kernels/tile_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace attention {
namespace HWY_NAMESPACE {

// Stores one register tile of S^T whose first key is `key`, hidden entries as -inf, and raises the maximum.
// The maximum stays in memory between tiles: the product needs every register.
template <bool kMasked, int kVectors>
HWY_INLINE void StoreScores(const Accumulators<kVectors>& acc, int64_t key, const ScoreArguments& arguments) {
  const FloatTag df;
  const IntTag di;
  constexpr int64_t kWidth = kVectors * kLanes;
  float* to = arguments.scores + key * kWidth;
  ATTENTION_UNROLL
  for (int j = 0; j < kVectors; ++j) {
    FloatVec maximum = hn::Load(df, arguments.maximum + j * kLanes);
    ATTENTION_UNROLL
    for (int i = 0; i < kTileRows; ++i) {
      FloatVec s = acc.c[i][j];
      if constexpr (kMasked) {
        const auto limit = hn::Load(di, arguments.limits + j * kLanes);
        const auto hidden = hn::Gt(hn::Set(di, static_cast<int32_t>(key + i)), limit);
        s = hn::IfThenElse(hn::RebindMask(df, hidden), hn::Set(df, -std::numeric_limits<float>::infinity()),
                           s);
      }
      hn::Store(s, df, to + i * kWidth + j * kLanes);
      maximum = hn::Max(maximum, s);
    }
    hn::Store(maximum, df, arguments.maximum + j * kLanes);
  }
}

// See TileKernels::scores. While a tile is computed, the next keys' rows are fetched into L1: one line per
// row and 16 steps of head_dim.
template <int kVectors>
HWY_INLINE void Scores(const ScoreArguments& arguments) {
  constexpr int64_t kWidth = kVectors * kLanes;
  constexpr int64_t kLine = 16;
  for (int64_t key = 0; key < arguments.keys; key += kTileRows) {
    RowsOperand rows;
    ATTENTION_UNROLL
    for (int i = 0; i < kTileRows; ++i) {
      // Rows past the end repeat the last key and are masked below.
      rows.row[i] = arguments.k + HWY_MIN(key + i, arguments.keys - 1) * arguments.k_stride;
    }
    Accumulators<kVectors> acc;
    acc.SetZero();
    for (int64_t d = 0; d < arguments.head_dim; d += kLine) {
      ATTENTION_UNROLL
      for (int i = 0; i < kTileRows; ++i) hwy::Prefetch(rows.row[i] + kTileRows * arguments.k_stride + d);
      MultiplyAccumulate<kVectors>(rows, arguments.q, kWidth, d, HWY_MIN(d + kLine, arguments.head_dim), acc);
    }
    if (key + kTileRows <= arguments.unmasked_keys) {
      StoreScores<false>(acc, key, arguments);
    } else {
      StoreScores<true>(acc, key, arguments);
    }
  }
}

// Subtracting -inf from -inf would give NaN: a column that saw nothing is measured from 0 instead, and its
// weights come out as 2^-inf = 0.
HWY_INLINE FloatVec SafeMaximum(FloatVec maximum) {
  const FloatTag df;
  return hn::IfThenZeroElse(hn::Eq(maximum, hn::Set(df, -std::numeric_limits<float>::infinity())), maximum);
}

// See TileKernels::exponentials.
template <int kVectors>
HWY_INLINE void Exponentials(float* HWY_RESTRICT scores, int64_t keys, const float* maximum, float* sum) {
  const FloatTag df;
  constexpr int64_t kWidth = kVectors * kLanes;
  FloatVec reference[kVectors], total[kVectors];
  for (int j = 0; j < kVectors; ++j) {
    reference[j] = SafeMaximum(hn::Load(df, maximum + j * kLanes));
    total[j] = hn::Zero(df);
  }
  for (int64_t key = 0; key < keys; ++key) {
    ATTENTION_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      float* s = scores + key * kWidth + j * kLanes;
      const FloatVec p = Exp2(hn::Sub(hn::Load(df, s), reference[j]));
      hn::Store(p, df, s);
      total[j] = hn::Add(total[j], p);
    }
  }
  for (int j = 0; j < kVectors; ++j) {
    hn::Store(hn::Add(hn::Load(df, sum + j * kLanes), total[j]), df, sum + j * kLanes);
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

// See TileKernels::weighted_sum. The rescaling of the online softmax rides on the accumulators' load.
template <int kVectors>
HWY_INLINE void WeightedSum(const WeightedSumArguments& arguments) {
  const FloatTag df;
  constexpr int64_t kWidth = kVectors * kLanes;
  FloatVec rescale[kVectors];
  ATTENTION_UNROLL
  for (int j = 0; j < kVectors; ++j) {
    rescale[j] = arguments.rescale == nullptr ? hn::Zero(df) : hn::Load(df, arguments.rescale + j * kLanes);
  }
  for (int64_t d = 0; d < arguments.head_dim; d += kTileRows) {
    float* HWY_RESTRICT o = arguments.o + d * kWidth;
    Accumulators<kVectors> acc;
    if (arguments.rescale == nullptr) {
      acc.SetZero();
    } else {
      ATTENTION_UNROLL
      for (int i = 0; i < kTileRows; ++i) {
        ATTENTION_UNROLL
        for (int j = 0; j < kVectors; ++j) {
          acc.c[i][j] = hn::Mul(hn::Load(df, o + i * kWidth + j * kLanes), rescale[j]);
        }
      }
    }
    const PanelOperand panel{arguments.values + d / kTileRows * arguments.panel_stride};
    MultiplyAccumulate<kVectors>(panel, arguments.scores, kWidth, 0, arguments.keys, acc);
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
