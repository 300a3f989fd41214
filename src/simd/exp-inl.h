// 2^x for softmax weights.
#if defined(SRC_SIMD_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SRC_SIMD_EXP_INL_H_
#undef SRC_SIMD_EXP_INL_H_
#else
#define SRC_SIMD_EXP_INL_H_
#endif

#include "src/simd/simd_base-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention {
namespace HWY_NAMESPACE {

// 2^x for x <= 127. Relative error below 2 ULP (2.4e-7) wherever the result is a normal number; results below
// 2^-126 are exactly 0 (AVX-512: correctly denormal); 2^-inf = 0; NaN stays NaN. Tested over the whole range.
//
// x = n + f; 2^f by a degree-5 polynomial with minimal relative error (7.5e-8; Remez exchange, coefficients
// rounded to float), 2^n by the exponent field. f is in [-1/2, 1/2] where rounding is cheap (adding 1.5 *
// 2^23 leaves n in the low mantissa bits), in [0, 1) on AVX-512, whose vreduceps gives f and whose vscalefps
// takes 2^floor(x) with a gentle underflow.
HWY_INLINE FloatVec Exp2(FloatVec x) {
  const FloatTag df;
#if HWY_TARGET <= HWY_AVX3
  const FloatVec f{_mm512_reduce_ps(x.raw, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)};
  FloatVec p = hn::Set(df, 0x1.ec320ap-10f);
  p = hn::MulAdd(p, f, hn::Set(df, 0x1.26900cp-7f));
  p = hn::MulAdd(p, f, hn::Set(df, 0x1.c95446p-5f));
  p = hn::MulAdd(p, f, hn::Set(df, 0x1.ebd5a8p-3f));
  p = hn::MulAdd(p, f, hn::Set(df, 0x1.62e4f6p-1f));
  p = hn::MulAdd(p, f, hn::Set(df, 0x1.fffffep-1f));
  return FloatVec{_mm512_scalef_ps(p.raw, x.raw)};
#else
  const FloatVec magic = hn::Set(df, 0x1.8p23f);
  const FloatVec shifted = hn::Add(x, magic);
  const FloatVec f = hn::Sub(x, hn::Sub(shifted, magic));
  FloatVec p = hn::Set(df, 0x1.5c08e6p-10f);
  p = hn::MulAdd(p, f, hn::Set(df, 0x1.3d0c52p-7f));
  p = hn::MulAdd(p, f, hn::Set(df, 0x1.c6b6e4p-5f));
  p = hn::MulAdd(p, f, hn::Set(df, 0x1.ebf918p-3f));
  p = hn::MulAdd(p, f, hn::Set(df, 0x1.62e428p-1f));
  p = hn::MulAdd(p, f, hn::Set(df, 0x1.000002p+0f));
  const IntTag di;
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(di, shifted));
  const FloatVec result = hn::BitCast(df, hn::Add(hn::BitCast(di, p), exponent));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(df, -126.0f)), result);
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace attention
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
