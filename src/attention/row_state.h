// The softmax of one query row that has seen some of its keys: (o, m, l), and the operations on it.
//
//   m  max over the keys seen of the scaled logit s; -inf if none
//   l  sum over them of e^(s - m)
//   o  sum over them of e^(s - m) v, not normalised
//
// Seeing a key, meeting another state and finishing are one rule: go to the larger maximum, scale what was
// measured from the smaller one by e^(smaller - larger), add (Milakov & Gimelshein 2018; Rabe & Staats 2021,
// chunks). The empty row (0, -inf, 0) weighs nothing and is neutral, exactly; (-inf) - (-inf) is never
// formed.
//
// Kernels keep logits to base 2, states between ranks natural ones; the reference works in double. So base
// and precision are parameters, and every kernel, repair, reference and exchange uses these functions. The
// vectors of kernels/simd/softmax_tile-inl.h (MoveMaximum) and few_queries-inl.h are the same rule, a lane
// per row.
#ifndef SRC_ATTENTION_ROW_STATE_H_
#define SRC_ATTENTION_ROW_STATE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

namespace attention {

enum class LogitBase { kNatural, kTwo };

template <typename Float, LogitBase kBase>
struct RowState {
  static constexpr Float kEmpty = -std::numeric_limits<Float>::infinity();

  // What a sum measured from the maximum `m` weighs at the maximum `total` >= m: base^(m - total); 0 if it is
  // empty.
  static Float Weight(Float m, Float total) {
    if (m == kEmpty) return 0;
    return kBase == LogitBase::kTwo ? std::exp2(m - total) : std::exp(m - total);
  }

  // A merge of two parts: the new maximum and what each part is multiplied by.
  struct Merge {
    Float m;
    Float weight;        // of the first
    Float other_weight;  // of the second
  };
  static Merge MergeOf(Float m, Float other_m) {
    const Float total = std::max(m, other_m);
    return {total, Weight(m, total), Weight(other_m, total)};
  }

  // What o is multiplied by in the end: 1 / l; 0 for a row that saw no key, whose output is exactly 0.
  static Float FinishFactor(Float l) { return l == 0 ? 0 : 1 / l; }
};

using NaturalRow = RowState<float, LogitBase::kNatural>;
using Base2Row = RowState<float, LogitBase::kTwo>;
using ReferenceRow = RowState<double, LogitBase::kNatural>;

// One maximum, to the other base.
inline float NaturalFromBase2(float m) { return m * std::numbers::ln2_v<float>; }
inline float Base2FromNatural(float m) { return m * std::numbers::log2e_v<float>; }

}  // namespace attention

#endif  // SRC_ATTENTION_ROW_STATE_H_
