#include "src/qwen3/linear/linear_kernels.h"

#include <utility>

#include "src/base/error.h"
#include "src/qwen3/linear/packed_matrix.h"

// Highway compiles the rest of this file once per target. SSSE3 and AVX3_DL would be tables nobody asks for.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/qwen3/linear/linear_kernels.cc"
#include "hwy/foreach_target.h"
// foreach_target comes first.
#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "src/simd/layout-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention {
namespace linear_simd {  // the target namespaces are shared with other kernels
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::CappedTag<float, 16>;
using FloatVec = hn::Vec<FloatTag>;
constexpr int64_t kLanes = static_cast<int64_t>(HWY_LANES(float)) < 16 ? HWY_LANES(float) : 16;
constexpr int64_t kHalf = kPanelOutputs / 2;

// Registers: 2 accumulators per row, 2 weight vectors, 1 broadcast (a memory operand on AVX-512).
#if HWY_TARGET <= HWY_AVX3
constexpr int kTileRows = 14;
#else
constexpr int kTileRows = 6;
#endif

// The weights of outputs [lane, lane + kLanes) and [16 + lane, 16 + lane + kLanes) of one input.
struct Pair {
  FloatVec low, high;
};

HWY_INLINE Pair LoadPair(const float* input, int64_t lane) {
  const FloatTag df;
  return {hn::LoadU(df, input + lane), hn::LoadU(df, input + kHalf + lane)};
}

// A bf16 is the upper half of a float: the low output of a lane is shifted up, the high one masked.
HWY_INLINE Pair LoadPair(const Bfloat16* input, int64_t lane) {
  const FloatTag df;
  const hn::RebindToUnsigned<FloatTag> du;
  const auto words = hn::LoadU(du, reinterpret_cast<const uint32_t*>(input) + lane);
  return {hn::BitCast(df, hn::ShiftLeft<16>(words)),
          hn::BitCast(df, hn::And(words, hn::Set(du, 0xFFFF0000u)))};
}

// Few rows leave the FMA units waiting for their own results: split the sum over inputs so that at least 8
// accumulators are under way.
constexpr int Splits(int rows) { return rows == 1 ? 4 : rows <= 3 ? 2 : 1; }

template <int kRows, int kSplits, typename Weight>
HWY_INLINE void Accumulate(const float* HWY_RESTRICT a, const Weight* HWY_RESTRICT weights, int64_t inputs,
                           int64_t lane, const ReadAhead& ahead, FloatVec (&low)[kRows * kSplits],
                           FloatVec (&high)[kRows * kSplits]) {
  const FloatTag df;
  int64_t i = 0;
  for (; i + kSplits <= inputs; i += kSplits) {
    ATTENTION_UNROLL for (int s = 0; s < kSplits; ++s) {
      const Weight* input = weights + (i + s) * kPanelOutputs;
      if (lane == 0) {
        const std::byte* next = ahead.begin + (i + s) * ahead.step;
        hwy::Prefetch(next);
        if (sizeof(Weight) == 4) hwy::Prefetch(next + 64);
      }
      const Pair w = LoadPair(input, lane);
      ATTENTION_UNROLL for (int r = 0; r < kRows; ++r) {
        const FloatVec x = hn::Set(df, a[(i + s) * kRows + r]);
        low[s * kRows + r] = hn::MulAdd(x, w.low, low[s * kRows + r]);
        high[s * kRows + r] = hn::MulAdd(x, w.high, high[s * kRows + r]);
      }
    }
  }
  for (; i < inputs; ++i) {
    const Pair w = LoadPair(weights + i * kPanelOutputs, lane);
    ATTENTION_UNROLL for (int r = 0; r < kRows; ++r) {
      const FloatVec x = hn::Set(df, a[i * kRows + r]);
      low[r] = hn::MulAdd(x, w.low, low[r]);
      high[r] = hn::MulAdd(x, w.high, high[r]);
    }
  }
}

template <int kRows, typename Weight>
void Tile(const float* HWY_RESTRICT a, const std::byte* HWY_RESTRICT panel, int64_t inputs,
          float* HWY_RESTRICT result, int64_t result_stride, bool add, const ReadAhead& ahead) {
  const FloatTag df;
  constexpr int kSplits = Splits(kRows);
  const Weight* weights = reinterpret_cast<const Weight*>(panel);
  // Rows of the result lie far apart, so no prefetcher brings them, and at the end nothing hides 2 kRows
  // misses.
  ATTENTION_UNROLL for (int r = 0; r < kRows; ++r) {
    __builtin_prefetch(result + r * result_stride, 1);
    __builtin_prefetch(result + r * result_stride + kHalf, 1);
  }
  for (int64_t lane = 0; lane < kHalf; lane += kLanes) {
    FloatVec low[kRows * kSplits], high[kRows * kSplits];
    ATTENTION_UNROLL for (int r = 0; r < kRows * kSplits; ++r) { low[r] = high[r] = hn::Zero(df); }
    Accumulate<kRows, kSplits>(a, weights, inputs, lane, ahead, low, high);
    ATTENTION_UNROLL for (int r = 0; r < kRows; ++r) {
      ATTENTION_UNROLL for (int s = 1; s < kSplits; ++s) {
        low[r] = hn::Add(low[r], low[s * kRows + r]);
        high[r] = hn::Add(high[r], high[s * kRows + r]);
      }
      float* row = result + r * result_stride + lane;
      if (add) {
        low[r] = hn::Add(low[r], hn::LoadU(df, row));
        high[r] = hn::Add(high[r], hn::LoadU(df, row + kHalf));
      }
      hn::StoreU(low[r], df, row);
      hn::StoreU(high[r], df, row + kHalf);
    }
  }
}

// See LinearKernels::pack. Squares of rows and inputs are transposed in registers. A store's lanes that are
// no rows are overwritten by the next input's store; in the last square they are left out.
void Pack(const float* HWY_RESTRICT x, int64_t stride, int rows, int64_t inputs, float* HWY_RESTRICT packed) {
  int64_t i = 0;
#if HWY_TARGET <= HWY_AVX2
  static_assert(kTileRows <= kLanes);
  const FloatTag df;
  const auto are_rows = hn::FirstN(df, static_cast<size_t>(rows));
  for (; i + kLanes <= inputs; i += kLanes) {
    FloatVec square[kLanes];
    ATTENTION_UNROLL for (int r = 0; r < kLanes; ++r) {
      square[r] = hn::LoadU(df, x + HWY_MIN(r, rows - 1) * stride + i);
    }
    attention::HWY_NAMESPACE::TransposeSquare(square);
    if (i + 2 * kLanes <= inputs) {
      ATTENTION_UNROLL for (int j = 0; j < kLanes; ++j) {
        hn::StoreU(square[j], df, packed + (i + j) * rows);
      }
    } else {
      ATTENTION_UNROLL for (int j = 0; j < kLanes; ++j) {
        hn::BlendedStore(square[j], are_rows, df, packed + (i + j) * rows);
      }
    }
  }
#endif
  // In short runs of inputs: a whole tile is larger than L1, and every row writes to each of its cache lines.
  constexpr int64_t kRun = 128;
  for (; i < inputs; i += kRun) {
    const int64_t end = HWY_MIN(i + kRun, inputs);
    for (int r = 0; r < rows; ++r) {
      for (int64_t input = i; input < end; ++input) packed[input * rows + r] = x[r * stride + input];
    }
  }
}

template <typename Weight, int... kRowsMinusOne>
void FillTable(LinearTile (&table)[kMaxTileRows], std::integer_sequence<int, kRowsMinusOne...>) {
  ((table[kRowsMinusOne] = &Tile<kRowsMinusOne + 1, Weight>), ...);
}

const LinearKernels& Table() {
  static const LinearKernels kTable = [] {
    LinearKernels kernels = {};
    kernels.max_rows = kTileRows;
    kernels.pack = &Pack;
    FillTable<float>(kernels.float32, std::make_integer_sequence<int, kTileRows>());
    FillTable<Bfloat16>(kernels.bfloat16, std::make_integer_sequence<int, kTileRows>());
    return kernels;
  }();
  return kTable;
}

const LinearKernels* TableAddress() { return &Table(); }

}  // namespace HWY_NAMESPACE
}  // namespace linear_simd
}  // namespace attention
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "src/simd/dispatch.h"

namespace attention {
namespace linear_simd {
namespace {

const LinearKernels& TableOf(Isa isa) { return *ATTENTION_FOR_ISA(isa, TableAddress()); }

}  // namespace
}  // namespace linear_simd

const LinearKernels& GetLinearKernels(Isa isa) {
  Require(IsSupported(isa), "this CPU does not run ", Name(isa));
  return linear_simd::TableOf(isa);
}

}  // namespace attention
#endif  // HWY_ONCE
