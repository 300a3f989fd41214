#include "src/qwen3/linear/row_kernels.h"

#include <cmath>

#include "src/base/error.h"

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/qwen3/linear/row_kernels.cc"
#include "hwy/foreach_target.h"
// foreach_target comes first.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attention {
namespace row_simd {  // the target namespaces are shared with other kernels
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::CappedTag<float, 16>;
using FloatVec = hn::Vec<FloatTag>;
constexpr int64_t kLanes = static_cast<int64_t>(HWY_LANES(float)) < 16 ? HWY_LANES(float) : 16;

float SumOfSquares(const float* x, int64_t n) {
  const FloatTag df;
  // Four sums: independent chains, and shorter ones, which round less.
  FloatVec sum[4] = {hn::Zero(df), hn::Zero(df), hn::Zero(df), hn::Zero(df)};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int s = 0; s < 4; ++s) {
      const FloatVec v = hn::LoadU(df, x + i + s * kLanes);
      sum[s] = hn::MulAdd(v, v, sum[s]);
    }
  }
  for (; i + kLanes <= n; i += kLanes) {
    const FloatVec v = hn::LoadU(df, x + i);
    sum[0] = hn::MulAdd(v, v, sum[0]);
  }
  float total = hn::GetLane(hn::SumOfLanes(df, hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3]))));
  for (; i < n; ++i) total += x[i] * x[i];
  return total;
}

void RmsNormRow(const float* x, const float* weight, int64_t n, float epsilon, float* y) {
  const FloatTag df;
  const float scale = 1.0f / std::sqrt(SumOfSquares(x, n) / static_cast<float>(n) + epsilon);
  const FloatVec scales = hn::Set(df, scale);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(df, x + i), scales), hn::LoadU(df, weight + i)), df, y + i);
  }
  for (; i < n; ++i) y[i] = x[i] * scale * weight[i];
}

void RotateHalf(float* x, const float* cos, const float* sin, int64_t half) {
  const FloatTag df;
  int64_t i = 0;
  for (; i + kLanes <= half; i += kLanes) {
    const FloatVec first = hn::LoadU(df, x + i), second = hn::LoadU(df, x + half + i);
    const FloatVec c = hn::LoadU(df, cos + i), s = hn::LoadU(df, sin + i);
    hn::StoreU(hn::Sub(hn::Mul(first, c), hn::Mul(second, s)), df, x + i);
    hn::StoreU(hn::MulAdd(second, c, hn::Mul(first, s)), df, x + half + i);
  }
  for (; i < half; ++i) {
    const float first = x[i], second = x[half + i];
    x[i] = first * cos[i] - second * sin[i];
    x[half + i] = second * cos[i] + first * sin[i];
  }
}

void SwiGlu(const float* x, int64_t groups, float* y) {
  const FloatTag df;
  const FloatVec one = hn::Set(df, 1.0f);
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t i = 0; i < 16; i += kLanes) {
      const FloatVec gate = hn::LoadU(df, x + 32 * g + i), up = hn::LoadU(df, x + 32 * g + 16 + i);
      // e^88 is the largest power that is finite; beyond it the gate is shut anyway.
      const FloatVec power = hn::Exp(df, hn::Min(hn::Neg(gate), hn::Set(df, 88.0f)));
      hn::StoreU(hn::Mul(hn::Div(gate, hn::Add(one, power)), up), df, y + 16 * g + i);
    }
  }
}

void RoundToBfloat16(const float* x, int64_t n, Bfloat16* y) {
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const FloatTag df;
  const hn::RebindToUnsigned<FloatTag> du;
  const hn::RebindToSigned<FloatTag> di;
  const hn::Rebind<uint16_t, FloatTag> half;
  for (; i + kLanes <= n; i += kLanes) {
    const FloatVec v = hn::LoadU(df, x + i);
    const auto bits = hn::BitCast(du, v);
    // To nearest, ties to even; NaN, which could become infinity or zero, to the quiet one.
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
    const auto rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, hn::Set(du, 0x7FFF)), odd));
    const auto words = hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(v)), hn::Set(du, 0x7FC0), rounded);
    hn::StoreU(hn::DemoteTo(half, hn::BitCast(di, words)), half, reinterpret_cast<uint16_t*>(y + i));
  }
#endif
  for (; i < n; ++i) y[i] = Bfloat16::FromFloat(x[i]);
}

const RowKernels& Table() {
  static constexpr RowKernels kTable = {
      .rms_norm = RmsNormRow,
      .rotate_half = RotateHalf,
      .swiglu = SwiGlu,
      .round_to_bfloat16 = RoundToBfloat16,
  };
  return kTable;
}

const RowKernels* TableAddress() { return &Table(); }

}  // namespace HWY_NAMESPACE
}  // namespace row_simd
}  // namespace attention
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "src/simd/dispatch.h"

namespace attention {
namespace row_simd {
namespace {

const RowKernels& TableOf(Isa isa) { return *ATTENTION_FOR_ISA(isa, TableAddress()); }

}  // namespace
}  // namespace row_simd

const RowKernels& GetRowKernels(Isa isa) {
  Require(IsSupported(isa), "this CPU does not run ", Name(isa));
  return row_simd::TableOf(isa);
}

}  // namespace attention
#endif  // HWY_ONCE
