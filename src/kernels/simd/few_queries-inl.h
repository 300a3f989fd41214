// Kernels for few query columns (decode): a lane is an element of head_dim, or a key; K and V pass through
// once, as they lie in memory, for all columns together.
//
// With C columns the tiles' formulation would leave lanes - C of every vector idle. Here a key costs, per
// column, D / lanes multiply-adds for the score and as many for the weighted sum: for two columns some 16
// cycles at D = 128, against the 50 that its 1 KB takes from memory. Memory is the limit, so what matters is
// how it is read: long runs of K, then of V (FewQueries decides), each fetched ahead (FetchAhead).
#if defined(SRC_KERNELS_SIMD_FEW_QUERIES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SRC_KERNELS_SIMD_FEW_QUERIES_INL_H_
#undef SRC_KERNELS_SIMD_FEW_QUERIES_INL_H_
#else
#define SRC_KERNELS_SIMD_FEW_QUERIES_INL_H_
#endif

#include <limits>

#include "hwy/cache_control.h"
#include "src/base/int8_row.h"
#include "src/kernels/simd/tile_kernels.h"
#include "src/simd/elements-inl.h"
#include "src/simd/exp-inl.h"
#include "src/simd/layout-inl.h"
#include "src/simd/simd_base-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention {
namespace HWY_NAMESPACE {

// Near enough to survive in L1, far enough to hide the memory's latency: bf16 asks less of a line, so it must
// have more of them under way.
template <typename T>
constexpr int64_t kAheadBytes = sizeof(T) == sizeof(float) ? 6 << 10 : 8 << 10;

// Fetches the line that lies kAheadBytes after `at` into L1, on another page, where the hardware's own
// prefetchers do not follow.
//
// What matters is that lines are touched in the order of their addresses, and that the loop over keys stays a
// loop: the hardware's prefetchers follow an instruction that reads at a constant stride, and lose it when
// eight keys are eight copies of the code. Measured on one Zen 5 core (AVX-512 unless said), over 128 MB of
// bf16 or 256 MB of fp32, as a fraction of plain loads over the same (scores, then weighted sum):
//                                                fp32          bf16          bf16, two threads
//   head_dim outside, rows inside, 4 KB ahead    0.76, 0.97
//   a row at a time, 8 copies, 6 KB ahead        0.95, 0.98    0.85, 0.94    0.84, 0.99
//   a row at a time, a loop, none                0.75, 0.90    0.71, 0.82    0.85, 0.91
//   a row at a time, a loop, 4 KB                0.93, 0.98    0.80, 0.88
//   a row at a time, a loop, 6 KB                0.94, 0.99    0.86, 0.92    0.98, 0.98
//   a row at a time, a loop, 8 KB                0.93, 0.95    0.93, 0.95    0.99, 0.99
//   a row at a time, a loop, 10 KB               0.94, 0.96    0.95, 0.95
//   AVX2: 6 KB, 8 KB                             0.95, 0.84    0.70, 0.82 and 0.73, 0.89
// On two threads memory answers later, and what is lost is only what was not asked for in time. (Two threads
// had 54 GB/s together there; where the machine gave them 104, a whole bf16 step went from 0.87 to 0.90.) A
// second fetch into the outer caches costs (both take the same buffers).
template <typename T>
HWY_INLINE void FetchAhead(const T* at) {
  __builtin_prefetch(reinterpret_cast<const char*>(at) + kAheadBytes<T>, 0, 3);
}

// Elements of a cache line.
template <typename T>
constexpr int64_t kLine = 64 / sizeof(T);

// Rows of int8 are no whole lines apart, so that their ends may lie in lines that no row's begin asks for.
template <typename T>
constexpr bool kFetchEnds = sizeof(T) == 1;

// Adds to sums[(c * kRows + i) * kLanes + lane], or with `first` sets it to, the products of query column c
// and key i over kVectors vectors of head_dim. A key at a time, from one end to the other, as it lies in
// memory.
template <int kColumns, int kRows, int kVectors, bool kFetch, typename T>
HWY_INLINE void AddProducts(const float* q, const T* k, int64_t k_stride, int64_t head_dim, bool first,
                            float* sums) {
  const FloatTag df;
  ATTENTION_KEEP_LOOP
  for (int i = 0; i < kRows; ++i, k += k_stride) {
    FloatVec acc[kColumns];
    ATTENTION_UNROLL
    for (int c = 0; c < kColumns; ++c) {
      acc[c] = first ? hn::Zero(df) : hn::Load(df, sums + (c * kRows + i) * kLanes);
    }
    ATTENTION_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      if (kFetch && j * kLanes % kLine<T> == 0) FetchAhead(k + j * kLanes);
      const FloatVec key = LoadElements(df, k + j * kLanes);
      ATTENTION_UNROLL
      for (int c = 0; c < kColumns; ++c) {
        const FloatVec query = hn::LoadU(df, q + c * head_dim + j * kLanes);
        acc[c] = hn::MulAdd(query, key, acc[c]);
      }
    }
    if (kFetch && kFetchEnds<T>) FetchAhead(k + kVectors * kLanes);
    ATTENTION_UNROLL
    for (int c = 0; c < kColumns; ++c) hn::Store(acc[c], df, sums + (c * kRows + i) * kLanes);
  }
}

// Scores of kLanes / kColumns keys with kColumns columns, lane c * (kLanes / kColumns) + i: kLanes sums,
// reduced together by a transposition once all are there.
template <int kColumns, bool kFetch, typename T>
HWY_INLINE FloatVec DotRows(const float* q, const T* k, int64_t k_stride, int64_t head_dim) {
  const FloatTag df;
  constexpr int kRows = kLanes / kColumns;
  constexpr int kVectors = HWY_MIN(16, 128 / kLanes);
  HWY_ALIGN float sums[kLanes * kLanes];
  int64_t d = 0;
  for (; d + kVectors * kLanes <= head_dim; d += kVectors * kLanes) {
    AddProducts<kColumns, kRows, kVectors, kFetch>(q + d, k + d, k_stride, head_dim, d == 0, sums);
  }
  if (d + kVectors / 2 * kLanes <= head_dim) {  // head_dim 64
    AddProducts<kColumns, kRows, kVectors / 2, kFetch>(q + d, k + d, k_stride, head_dim, d == 0, sums);
    d += kVectors / 2 * kLanes;
  }
  for (; d + kLanes <= head_dim; d += kLanes) {
    AddProducts<kColumns, kRows, 1, kFetch>(q + d, k + d, k_stride, head_dim, d == 0, sums);
  }
  FloatVec acc[kLanes];
  ATTENTION_UNROLL
  for (int i = 0; i < kLanes; ++i) acc[i] = d == 0 ? hn::Zero(df) : hn::Load(df, sums + i * kLanes);
  TransposeSquare(acc);
  ATTENTION_UNROLL
  for (int step = kLanes / 2; step > 0; step /= 2) {
    ATTENTION_UNROLL
    for (int i = 0; i < step; ++i) acc[i] = hn::Add(acc[i], acc[i + step]);
  }
  if (d == head_dim) return acc[0];
  HWY_ALIGN float scores[kLanes];
  hn::Store(acc[0], df, scores);
  for (; d < head_dim; ++d) {
    for (int c = 0; c < kColumns; ++c) {
      for (int i = 0; i < kRows; ++i) {
        scores[c * kRows + i] += q[c * head_dim + d] * LoadElement(k + i * k_stride + d);
      }
    }
  }
  return hn::Load(df, scores);
}

// Scores of keys [key, key + kLanes) with two columns.
template <bool kFetch, typename T>
HWY_INLINE void ScoreColumnPair(const FewScoresArguments& arguments, int64_t column, int64_t key) {
#if HWY_TARGET != HWY_SCALAR
  const hn::Half<FloatTag> half;
  const float* q = arguments.q + column * arguments.head_dim;
  float* scores = arguments.scores + column * arguments.scores_stride;
  for (int64_t at = key; at < key + kLanes; at += kLanes / 2) {
    const T* k = static_cast<const T*>(arguments.k) + at * arguments.k_stride;
    const FloatVec both = DotRows<2, kFetch>(q, k, arguments.k_stride, arguments.head_dim);
    hn::StoreU(hn::LowerHalf(half, both), half, scores + at);
    hn::StoreU(hn::UpperHalf(half, both), half, scores + arguments.scores_stride + at);
  }
#else
  (void)arguments;
  (void)column;
  (void)key;
#endif
}

// The same with one column.
template <bool kFetch, typename T>
HWY_INLINE void ScoreColumn(const FewScoresArguments& arguments, int64_t column, int64_t key) {
  const T* k = static_cast<const T*>(arguments.k) + key * arguments.k_stride;
  hn::StoreU(DotRows<1, kFetch>(arguments.q + column * arguments.head_dim, k, arguments.k_stride,
                                arguments.head_dim),
             FloatTag(), arguments.scores + column * arguments.scores_stride + key);
}

template <typename T>
HWY_INLINE float DotRow(const float* q, const T* k, int64_t head_dim) {
  float sum = 0;
  for (int64_t d = 0; d < head_dim; ++d) sum += q[d] * LoadElement(k + d);
  return sum;
}

template <typename T>
HWY_INLINE void FewScoresOfRun(const FewScoresArguments& arguments) {
  int64_t key = 0;
  for (; key + kLanes <= arguments.keys; key += kLanes) {
    int64_t column = 0;
    if (kLanes > 1 && arguments.columns >= 2) {
      ScoreColumnPair<true, T>(arguments, 0, key);
      for (column = 2; column + 2 <= arguments.columns; column += 2) {
        ScoreColumnPair<false, T>(arguments, column, key);
      }
    } else {
      ScoreColumn<true, T>(arguments, column++, key);
    }
    for (; column < arguments.columns; ++column) ScoreColumn<false, T>(arguments, column, key);
  }
  const T* k = static_cast<const T*>(arguments.k);
  for (; key < arguments.keys; ++key) {
    for (int64_t c = 0; c < arguments.columns; ++c) {
      arguments.scores[c * arguments.scores_stride + key] =
          DotRow(arguments.q + c * arguments.head_dim, k + key * arguments.k_stride, arguments.head_dim);
    }
  }
}

// int8 rows whose scales are taken at a time: their lines are in L1 still, or soon.
constexpr int64_t kScaledRun = 64;

// to[c][i] = from[c][i] * the scale of row i, for up to kScaledRun rows; whole vectors of both are touched.
HWY_INLINE void MultiplyByScales(const int8_t* rows, int64_t row_stride, int64_t head_dim, int64_t count,
                                 int64_t columns, const float* from, int64_t from_stride, float* to,
                                 int64_t to_stride) {
  const FloatTag df;
  HWY_ALIGN float scales[kScaledRun] = {};
  for (int64_t i = 0; i < count; ++i) scales[i] = ScaleOfInt8Row(rows + i * row_stride, head_dim);
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t i = 0; i < count; i += kLanes) {
      const FloatVec x = hn::LoadU(df, from + c * from_stride + i);
      hn::StoreU(hn::Mul(x, hn::Load(df, scales + i)), df, to + c * to_stride + i);
    }
  }
}

// See TileKernels::few_scores.
template <typename T>
HWY_INLINE void FewScores(const FewScoresArguments& arguments) {
  FewScoresOfRun<T>(arguments);
}
template <>
HWY_INLINE void FewScores<int8_t>(const FewScoresArguments& arguments) {
  const int8_t* k = static_cast<const int8_t*>(arguments.k);
  for (int64_t begin = 0; begin < arguments.keys; begin += kScaledRun) {
    FewScoresArguments run = arguments;
    const int8_t* rows = k + begin * arguments.k_stride;
    run.k = rows;
    run.keys = HWY_MIN(kScaledRun, arguments.keys - begin);
    run.scores = arguments.scores + begin;
    FewScoresOfRun<int8_t>(run);
    MultiplyByScales(rows, run.k_stride, run.head_dim, run.keys, run.columns, run.scores, run.scores_stride,
                     run.scores, run.scores_stride);
  }
}

// See TileKernels::few_softmax.
HWY_INLINE float FewSoftmax(float* scores, int64_t visible, int64_t keys, float* m, float* l) {
  const FloatTag df;
  constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
  const int64_t padded = (keys + kLanes - 1) / kLanes * kLanes;
  for (int64_t key = visible; key < padded; ++key) scores[key] = kMinusInfinity;
  FloatVec maximum = hn::Set(df, *m);
  for (int64_t key = 0; key < padded; key += kLanes) maximum = hn::Max(maximum, hn::LoadU(df, scores + key));
  const float new_m = hn::GetLane(hn::MaxOfLanes(df, maximum));
  const float safe_m = new_m == kMinusInfinity ? 0.0f : new_m;
  const FloatVec reference = hn::Set(df, safe_m);
  FloatVec total = hn::Zero(df);
  for (int64_t key = 0; key < padded; key += kLanes) {
    const FloatVec p = Exp2(hn::Sub(hn::LoadU(df, scores + key), reference));
    hn::StoreU(p, df, scores + key);
    total = hn::Add(total, p);
  }
  // As in MoveMaximum: exactly 1 where the maximum stayed.
  const float rescale = *m == new_m ? 1.0f : hn::GetLane(Exp2(hn::Set(df, *m - safe_m)));
  *l = *l * rescale + hn::GetLane(hn::SumOfLanes(df, total));
  *m = new_m;
  return rescale;
}

// o[c][d ..] of kColumns columns and kVectors vectors of head_dim, over keys [begin, end), in registers.
template <int kColumns, int kVectors, typename T>
HWY_INLINE void AddWeightedRow(const FewWeightedSumArguments& arguments, int64_t column, int64_t d,
                               int64_t begin, int64_t end) {
  const FloatTag df;
  const T* v = static_cast<const T*>(arguments.v) + d;
  const float* p = arguments.scores + column * arguments.scores_stride;
  float* o = arguments.o + column * arguments.head_dim + d;
  FloatVec acc[kColumns][kVectors];
  ATTENTION_UNROLL
  for (int c = 0; c < kColumns; ++c) {
    ATTENTION_UNROLL
    for (int j = 0; j < kVectors; ++j) acc[c][j] = hn::LoadU(df, o + c * arguments.head_dim + j * kLanes);
  }
  for (int64_t key = begin; key < end; ++key) {
    const T* row = v + key * arguments.v_stride;
    if (column == 0) {
      for (int64_t i = 0; i < kVectors * kLanes; i += kLine<T>) FetchAhead(row + i);
      if (kFetchEnds<T>) FetchAhead(row + kVectors * kLanes);
    }
    FloatVec weight[kColumns];
    ATTENTION_UNROLL
    for (int c = 0; c < kColumns; ++c) weight[c] = hn::Set(df, p[c * arguments.scores_stride + key]);
    ATTENTION_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      const FloatVec value = LoadElements(df, row + j * kLanes);
      ATTENTION_UNROLL
      for (int c = 0; c < kColumns; ++c) acc[c][j] = hn::MulAdd(weight[c], value, acc[c][j]);
    }
  }
  ATTENTION_UNROLL
  for (int c = 0; c < kColumns; ++c) {
    ATTENTION_UNROLL
    for (int j = 0; j < kVectors; ++j) hn::StoreU(acc[c][j], df, o + c * arguments.head_dim + j * kLanes);
  }
}

// o[c][d ..] of kColumns columns from element d on, over kKeys keys from `key` on; o passes through L1, so
// that every row is read from one end to the other, whatever head_dim and however few the registers.
template <int kColumns, int kKeys, typename T>
HWY_INLINE void AddWeightedKeys(const FewWeightedSumArguments& arguments, int64_t column, int64_t d,
                                int64_t key) {
  const FloatTag df;
  const T* v = static_cast<const T*>(arguments.v) + key * arguments.v_stride;
  const float* p = arguments.scores + column * arguments.scores_stride + key;
  float* o = arguments.o + column * arguments.head_dim;
  FloatVec weight[kColumns][kKeys];
  ATTENTION_UNROLL
  for (int c = 0; c < kColumns; ++c) {
    ATTENTION_UNROLL
    for (int i = 0; i < kKeys; ++i) weight[c][i] = hn::Set(df, p[c * arguments.scores_stride + i]);
  }
  for (; d + kLanes <= arguments.head_dim; d += kLanes) {
    FloatVec acc[kColumns];
    ATTENTION_UNROLL
    for (int c = 0; c < kColumns; ++c) acc[c] = hn::LoadU(df, o + c * arguments.head_dim + d);
    ATTENTION_UNROLL
    for (int i = 0; i < kKeys; ++i) {
      const T* row = v + i * arguments.v_stride + d;
      if (column == 0 && d % kLine<T> == 0) FetchAhead(row);
      if (column == 0 && kFetchEnds<T> && d + 2 * kLanes > arguments.head_dim) FetchAhead(row + kLanes);
      const FloatVec value = LoadElements(df, row);
      ATTENTION_UNROLL
      for (int c = 0; c < kColumns; ++c) acc[c] = hn::MulAdd(weight[c][i], value, acc[c]);
    }
    ATTENTION_UNROLL
    for (int c = 0; c < kColumns; ++c) hn::StoreU(acc[c], df, o + c * arguments.head_dim + d);
  }
  for (; d < arguments.head_dim; ++d) {
    for (int c = 0; c < kColumns; ++c) {
      for (int i = 0; i < kKeys; ++i) {
        o[c * arguments.head_dim + d] +=
            p[c * arguments.scores_stride + i] * LoadElement(v + i * arguments.v_stride + d);
      }
    }
  }
}

// All of head_dim for kColumns columns over keys [begin, end).
template <int kColumns, typename T>
HWY_INLINE void AddWeightedColumns(const FewWeightedSumArguments& arguments, int64_t column, int64_t begin,
                                   int64_t end) {
  int64_t d = 0;
#if HWY_TARGET <= HWY_AVX3
  // 2 x 8 accumulators of 32 registers: whole rows at head_dim 128.
  constexpr int kVectors = 8;
  for (; d + kVectors * kLanes <= arguments.head_dim; d += kVectors * kLanes) {
    AddWeightedRow<kColumns, kVectors, T>(arguments, column, d, begin, end);
  }
  if (d == arguments.head_dim) return;
#endif
  // Fewer would load and store o too often (4: 0.75 instead of 0.83 of the read bandwidth, AVX2).
  constexpr int kKeys = 8;
  int64_t key = begin;
  for (; key + kKeys <= end; key += kKeys) AddWeightedKeys<kColumns, kKeys, T>(arguments, column, d, key);
  for (; key < end; ++key) AddWeightedKeys<kColumns, 1, T>(arguments, column, d, key);
}

// Values are taken kRun rows at a time, which stay in L1 from one pair of columns to the next.
template <typename T>
HWY_INLINE void FewWeightedSumOfRun(const FewWeightedSumArguments& arguments) {
  constexpr int64_t kRun = 32;
  for (int64_t begin = 0; begin < arguments.keys; begin += kRun) {
    const int64_t end = HWY_MIN(begin + kRun, arguments.keys);
    int64_t column = 0;
    for (; column + 2 <= arguments.columns; column += 2)
      AddWeightedColumns<2, T>(arguments, column, begin, end);
    if (column < arguments.columns) AddWeightedColumns<1, T>(arguments, column, begin, end);
  }
}

// See TileKernels::few_weighted_sum.
template <typename T>
HWY_INLINE void FewWeightedSum(const FewWeightedSumArguments& arguments) {
  FewWeightedSumOfRun<T>(arguments);
}
template <>
HWY_INLINE void FewWeightedSum<int8_t>(const FewWeightedSumArguments& arguments) {
  HWY_ALIGN float weights[kMostFewColumns * kScaledRun];
  const int8_t* v = static_cast<const int8_t*>(arguments.v);
  for (int64_t begin = 0; begin < arguments.keys; begin += kScaledRun) {
    FewWeightedSumArguments run = arguments;
    const int8_t* rows = v + begin * arguments.v_stride;
    run.v = rows;
    run.keys = HWY_MIN(kScaledRun, arguments.keys - begin);
    run.scores = weights;
    run.scores_stride = kScaledRun;
    MultiplyByScales(rows, run.v_stride, run.head_dim, run.keys, run.columns, arguments.scores + begin,
                     arguments.scores_stride, weights, kScaledRun);
    FewWeightedSumOfRun<int8_t>(run);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace attention
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
