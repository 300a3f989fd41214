// The tiles of linear_kernels.cc with vdpbf16ps, two products per lane and instruction, accumulated in
// float32. A word is a pair of neighbouring inputs on both sides.
#include "src/qwen3/linear/linear_kernels_bf16.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <utility>

#include "src/qwen3/linear/packed_matrix.h"
#include "src/simd/bfloat16_dot.h"
#include "src/simd/unroll.h"

ATTENTION_BEFORE_BFLOAT16_DOT

namespace attention {
namespace {

constexpr int64_t kLanes = 16;
constexpr int kVectors = kPanelOutputs / kLanes;
constexpr int64_t kPairBytes = kPanelOutputs * 4;

HWY_INLINE __m512 DotPairs(__m512 acc, float word, __m512i pairs) {
  const __m512i x = _mm512_castps_si512(_mm512_set1_ps(word));
  return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(pairs));
}

// As in linear_kernels.cc: at least 8 accumulators are under way.
constexpr int Splits(int rows) { return rows == 1 ? 4 : rows <= 3 ? 2 : 1; }

template <int kRows>
HWY_INLINE void AddPair(const float* words, const std::byte* panel, __m512 (&acc)[kRows][kVectors]) {
  __m512i w[kVectors];
  ATTENTION_UNROLL
  for (int v = 0; v < kVectors; ++v) w[v] = _mm512_loadu_si512(panel + v * 64);
  ATTENTION_UNROLL
  for (int r = 0; r < kRows; ++r) {
    ATTENTION_UNROLL
    for (int v = 0; v < kVectors; ++v) acc[r][v] = DotPairs(acc[r][v], words[r], w[v]);
  }
}

template <int kRows>
void Tile(const float* words, const std::byte* panel, int64_t inputs, float* result, int64_t result_stride,
          bool add, const ReadAhead& ahead) {
  constexpr int kSplits = Splits(kRows);
  ATTENTION_UNROLL
  for (int r = 0; r < kRows; ++r) {
    _mm_prefetch(reinterpret_cast<const char*>(result + r * result_stride), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(result + r * result_stride + kLanes), _MM_HINT_T0);
  }
  __m512 acc[kSplits][kRows][kVectors];
  ATTENTION_UNROLL
  for (int s = 0; s < kSplits; ++s) {
    ATTENTION_UNROLL
    for (int r = 0; r < kRows; ++r) {
      ATTENTION_UNROLL
      for (int v = 0; v < kVectors; ++v) acc[s][r][v] = _mm512_setzero_ps();
    }
  }
  const int64_t pairs = (inputs + 1) / 2;
  const char* next = reinterpret_cast<const char*>(ahead.begin);
  int64_t pair = 0;
  for (; pair + kSplits <= pairs; pair += kSplits) {
    ATTENTION_UNROLL
    for (int s = 0; s < kSplits; ++s) {
      _mm_prefetch(next + (pair + s) * 2 * ahead.step, _MM_HINT_T0);
      _mm_prefetch(next + (pair + s) * 2 * ahead.step + 64, _MM_HINT_T0);
      AddPair<kRows>(words + (pair + s) * kRows, panel + (pair + s) * kPairBytes, acc[s]);
    }
  }
  for (; pair < pairs; ++pair) AddPair<kRows>(words + pair * kRows, panel + pair * kPairBytes, acc[0]);
  ATTENTION_UNROLL
  for (int r = 0; r < kRows; ++r) {
    ATTENTION_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      ATTENTION_UNROLL
      for (int s = 1; s < kSplits; ++s) acc[0][r][v] = _mm512_add_ps(acc[0][r][v], acc[s][r][v]);
      float* to = result + r * result_stride + v * kLanes;
      if (add) acc[0][r][v] = _mm512_add_ps(acc[0][r][v], _mm512_loadu_ps(to));
      _mm512_storeu_ps(to, acc[0][r][v]);
    }
  }
}

// See LinearKernels::convert. What lies beyond the inputs is read as zero.
void ToPairs(const float* x, int64_t inputs, float* words) {
  for (int64_t i = 0; i < inputs; i += 2 * kLanes) {
    const int64_t left = inputs - i;
    const __mmask32 exists = left >= 2 * kLanes ? ~__mmask32{0} : (__mmask32{1} << left) - 1;
    const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(exists), x + i);
    const __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(exists >> kLanes), x + i + kLanes);
    const __m512bh pairs = _mm512_cvtne2ps_pbh(high, low);
    const int64_t count = (left + 1) / 2;
    const __mmask16 stored =
        count >= kLanes ? static_cast<__mmask16>(~0) : static_cast<__mmask16>((1u << count) - 1);
    _mm512_mask_storeu_ps(words + i / 2, stored, reinterpret_cast<__m512>(pairs));
  }
}

template <int... kRowsMinusOne>
void FillTable(LinearTile (&table)[kMaxTileRows], std::integer_sequence<int, kRowsMinusOne...>) {
  ((table[kRowsMinusOne] = &Tile<kRowsMinusOne + 1>), ...);
}

}  // namespace
}  // namespace attention

ATTENTION_AFTER_BFLOAT16_DOT

namespace attention {

void UseBfloat16Dot(LinearKernels& kernels) {
  kernels.inputs_per_word = 2;
  kernels.convert = &ToPairs;
  FillTable(kernels.tiles, std::make_integer_sequence<int, kMaxTileRows>());
}

}  // namespace attention

#else

namespace attention {

void UseBfloat16Dot(LinearKernels&) {}

}  // namespace attention

#endif
