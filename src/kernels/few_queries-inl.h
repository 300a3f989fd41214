// Kernels for few query columns (decode): a lane is an element of head_dim, or a key; K and V pass through
// once, as they lie in memory, for all columns together.
//
// With C columns the tiles' formulation would leave lanes - C of every vector idle. Here a key costs, per
// column, D / lanes multiply-adds for the score and as many for the weighted sum: for two columns some 16
// cycles at D = 128, against the 50 that its 1 KB takes from memory. Memory is the limit, so what matters is
// how it is read: long runs of K, then of V (FewQueries decides), each fetched ahead (FetchAhead).
#if defined(SRC_KERNELS_FEW_QUERIES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SRC_KERNELS_FEW_QUERIES_INL_H_
#undef SRC_KERNELS_FEW_QUERIES_INL_H_
#else
#define SRC_KERNELS_FEW_QUERIES_INL_H_
#endif

#include <limits>

#include "hwy/cache_control.h"
#include "src/kernels/elements-inl.h"
#include "src/kernels/exp-inl.h"
#include "src/kernels/layout-inl.h"
#include "src/kernels/simd_base-inl.h"
#include "src/kernels/tile_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace attention {
namespace HWY_NAMESPACE {

constexpr int64_t kAheadBytes = 4 << 10;

// Fetches the line that lies a page ahead of `at` into L1: near enough to survive in 32 KB, far enough to
// hide the memory's latency, which the hardware's own prefetchers do not do across pages.
//
// Measured on one Zen 5 core, partly beside other load, at 32768 keys, as a fraction of four streams of loads
// over the same 256 MB.
// Loads alone, without arithmetic: one stream 0.94, with this fetch 0.97, with a second one 16 KB ahead into
// the outer caches 0.87 (both take the same buffers); four heads in turn, 512 bytes each, 1.01, 4 KB each
// 0.75 to 0.87. The kernel: two fetches, 4 and 16 KB ahead, 0.78; one, 4 KB ahead, 0.86 as it is here, and
// 0.92 in a build that differed in how the compiler forms addresses and in nothing that is understood; 6 and
// 8 KB 0.83 to 0.87, 1 KB 0.83, none 0.75; rows of four places in turn 0.76 at best.
template <typename T>
HWY_INLINE void FetchAhead(const T* at) {
  __builtin_prefetch(reinterpret_cast<const char*>(at) + kAheadBytes, 0, 3);
}

// Scores of kLanes / kColumns keys with kColumns columns, lane c * (kLanes / kColumns) + i: kLanes
// accumulators, reduced together by a transposition. kFetch: fetches ahead, a line at a time between the
// multiply-adds (in a burst the lines would wait for each other).
template <int kColumns, bool kFetch, typename T>
HWY_INLINE FloatVec DotRows(const float* q, const T* k, int64_t k_stride, int64_t head_dim) {
  const FloatTag df;
  constexpr int kRows = kLanes / kColumns;
  constexpr int64_t kLine = 64 / sizeof(T);
  FloatVec acc[kLanes];
  ATTENTION_UNROLL
  for (int i = 0; i < kLanes; ++i) acc[i] = hn::Zero(df);
  const T* rows[kRows];
  ATTENTION_UNROLL
  for (int i = 0; i < kRows; ++i) {
    rows[i] = k + i * k_stride;
    // Opaque: a compiler that knows how the rows follow from each other keeps a running pointer for each, and
    // then issues all fetches in one burst instead of between the multiply-adds (0.84 instead of 0.86).
    asm("" : "+r"(rows[i]));
  }
  int64_t d = 0;
  for (; d + kLanes <= head_dim; d += kLanes) {
    FloatVec query[kColumns];
    ATTENTION_UNROLL
    for (int c = 0; c < kColumns; ++c) query[c] = hn::LoadU(df, q + c * head_dim + d);
    ATTENTION_UNROLL
    for (int i = 0; i < kRows; ++i) {
      if (kFetch && d % kLine == 0) FetchAhead(rows[i] + d);
      const FloatVec row = LoadElements(df, rows[i] + d);
      ATTENTION_UNROLL
      for (int c = 0; c < kColumns; ++c) acc[c * kRows + i] = hn::MulAdd(query[c], row, acc[c * kRows + i]);
    }
  }
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
        scores[c * kRows + i] += q[c * head_dim + d] * LoadElement(rows[i] + d);
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

// See TileKernels::few_scores.
template <typename T>
HWY_INLINE void FewScores(const FewScoresArguments& arguments) {
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

// o[c][d ..] of kColumns columns and kVectors vectors of head_dim, over keys [begin, end).
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
      for (int64_t i = 0; i < kVectors * kLanes; i += 64 / static_cast<int64_t>(sizeof(T)))
        FetchAhead(row + i);
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

// All of head_dim for kColumns columns over keys [begin, end).
template <int kColumns, typename T>
HWY_INLINE void AddWeightedColumns(const FewWeightedSumArguments& arguments, int64_t column, int64_t begin,
                                   int64_t end) {
  // 8 x 2 accumulators of 32 registers, 4 x 2 of 16.
  constexpr int kVectors = HWY_TARGET <= HWY_AVX3 ? 8 : 4;
  int64_t d = 0;
  for (; d + kVectors * kLanes <= arguments.head_dim; d += kVectors * kLanes) {
    AddWeightedRow<kColumns, kVectors, T>(arguments, column, d, begin, end);
  }
  for (; d + kLanes <= arguments.head_dim; d += kLanes) {
    AddWeightedRow<kColumns, 1, T>(arguments, column, d, begin, end);
  }
  const T* v = static_cast<const T*>(arguments.v);
  for (; d < arguments.head_dim; ++d) {
    for (int64_t c = column; c < column + kColumns; ++c) {
      float sum = arguments.o[c * arguments.head_dim + d];
      for (int64_t key = begin; key < end; ++key) {
        sum += arguments.scores[c * arguments.scores_stride + key] *
               LoadElement(v + key * arguments.v_stride + d);
      }
      arguments.o[c * arguments.head_dim + d] = sum;
    }
  }
}

// See TileKernels::few_weighted_sum. Values are taken kRun rows at a time, which stay in L1 from one pair of
// columns to the next.
template <typename T>
HWY_INLINE void FewWeightedSum(const FewWeightedSumArguments& arguments) {
  constexpr int64_t kRun = 32;
  for (int64_t begin = 0; begin < arguments.keys; begin += kRun) {
    const int64_t end = HWY_MIN(begin + kRun, arguments.keys);
    int64_t column = 0;
    for (; column + 2 <= arguments.columns; column += 2)
      AddWeightedColumns<2, T>(arguments, column, begin, end);
    if (column < arguments.columns) AddWeightedColumns<1, T>(arguments, column, begin, end);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace attention
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
