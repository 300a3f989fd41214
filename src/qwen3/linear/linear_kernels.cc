#include "src/qwen3/linear/linear_kernels.h"

#include <utility>

#include "src/base/error.h"
#include "src/qwen3/linear/linear_kernels_bf16.h"
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

// What is loaded at once holds so many inputs: one float each, or a pair of bf16.
template <typename Weight>
constexpr int kInputsPerLoad = sizeof(float) / sizeof(Weight);

// The weights of outputs [lane, lane + kLanes) and [16 + lane, 16 + lane + kLanes) of one input.
struct Pair {
  FloatVec low, high;
};

// `input` is 0, or of a pair 0 or 1.
HWY_INLINE Pair LoadPair(const float* inputs, int64_t lane, int) {
  const FloatTag df;
  return {hn::LoadU(df, inputs + lane), hn::LoadU(df, inputs + kHalf + lane)};
}

// A bf16 is the upper half of a float: the first input of a lane is shifted up, the second one masked.
HWY_INLINE Pair LoadPair(const Bfloat16* inputs, int64_t lane, int input) {
  const FloatTag df;
  const hn::RebindToUnsigned<FloatTag> du;
  const uint32_t* words = reinterpret_cast<const uint32_t*>(inputs) + lane;
  const auto low = hn::LoadU(du, words), high = hn::LoadU(du, words + kHalf);
  if (input == 0) return {hn::BitCast(df, hn::ShiftLeft<16>(low)), hn::BitCast(df, hn::ShiftLeft<16>(high))};
  const auto mask = hn::Set(du, 0xFFFF0000u);
  return {hn::BitCast(df, hn::And(low, mask)), hn::BitCast(df, hn::And(high, mask))};
}

// Few rows leave the FMA units waiting for their own results: split the sum over inputs so that at least 8
// accumulators are under way.
constexpr int Splits(int rows) { return rows == 1 ? 4 : rows <= 3 ? 2 : 1; }

template <int kRows>
HWY_INLINE void AddProducts(const float* HWY_RESTRICT a, const Pair& w, FloatVec* low, FloatVec* high) {
  const FloatTag df;
  ATTENTION_UNROLL for (int r = 0; r < kRows; ++r) {
    const FloatVec x = hn::Set(df, a[r]);
    low[r] = hn::MulAdd(x, w.low, low[r]);
    high[r] = hn::MulAdd(x, w.high, high[r]);
  }
}

template <int kRows, int kSplits, typename Weight>
HWY_INLINE void Accumulate(const float* HWY_RESTRICT a, const Weight* HWY_RESTRICT weights, int64_t inputs,
                           int64_t lane, const ReadAhead& ahead, FloatVec (&low)[kRows * kSplits],
                           FloatVec (&high)[kRows * kSplits]) {
  constexpr int kLoad = kInputsPerLoad<Weight>;
  constexpr int kStep = HWY_MAX(kSplits, kLoad);
  int64_t i = 0;
  for (; i + kStep <= inputs; i += kStep) {
    ATTENTION_UNROLL for (int s = 0; s < kStep; s += kLoad) {
      const Weight* loaded = weights + (i + s) * kPanelOutputs;
      if (lane == 0) {
        const std::byte* next = ahead.begin + (i + s) * ahead.step;
        hwy::Prefetch(next);
        hwy::Prefetch(next + 64);
      }
      ATTENTION_UNROLL for (int input = 0; input < kLoad; ++input) {
        const int split = (s + input) % kSplits * kRows;
        AddProducts<kRows>(a + (i + s + input) * kRows, LoadPair(loaded, lane, input), low + split,
                           high + split);
      }
    }
  }
  for (; i < inputs; ++i) {
    const int64_t input = i % kLoad;
    AddProducts<kRows>(a + i * kRows,
                       LoadPair(weights + (i - input) * kPanelOutputs, lane, static_cast<int>(input)), low,
                       high);
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

// See LinearKernels::convert: bf16 activations, widened again.
void RoundToBfloat16(const float* x, int64_t inputs, float* words) {
  for (int64_t i = 0; i < inputs; ++i) words[i] = Bfloat16::FromFloat(x[i]).ToFloat();
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

template <typename Weight>
LinearKernels Table() {
  LinearKernels kernels = {};
  kernels.max_rows = kTileRows;
  kernels.inputs_per_word = 1;
  kernels.pack = &Pack;
  FillTable<Weight>(kernels.tiles, std::make_integer_sequence<int, kTileRows>());
  return kernels;
}

LinearKernels Float32Table() { return Table<float>(); }
LinearKernels Bfloat16Table() {
  LinearKernels kernels = Table<Bfloat16>();
  kernels.convert = &RoundToBfloat16;
  return kernels;
}

}  // namespace HWY_NAMESPACE
}  // namespace linear_simd
}  // namespace attention
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "src/simd/dispatch.h"

namespace attention {
namespace linear_simd {
namespace {

LinearKernels TableOf(Isa isa, DataType weights) {
  return weights == DataType::kFloat32 ? ATTENTION_FOR_ISA(isa, Float32Table())
                                       : ATTENTION_FOR_ISA(isa, Bfloat16Table());
}

}  // namespace
}  // namespace linear_simd

LinearKernels GetLinearKernels(Isa isa, DataType weights, DataType activations) {
  Require(IsSupported(isa), "this CPU does not run ", Name(isa));
  Require(activations == DataType::kFloat32 || weights == DataType::kBfloat16,
          "linear layer: bf16 activations need bf16 weights");
  LinearKernels kernels = linear_simd::TableOf(isa, weights);
  if (activations == DataType::kFloat32) {
    kernels.convert = nullptr;
  } else if (HasBfloat16Dot(isa)) {
    UseBfloat16Dot(kernels);
  }
  return kernels;
}

}  // namespace attention
#endif  // HWY_ONCE
