// One source, compiled for every ISA by Highway; the widest the CPU has runs.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "peers/row_softmax.cc"
#include "peers/row_softmax.h"

#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attention::peers {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::ScalableTag<float>;
using Vec = hn::Vec<Tag>;

// 2^x for x <= 0: x = n + f with f in [-1/2, 1/2]; 2^f by its Taylor polynomial of degree 6 (relative error
// (ln2/2)^7/7! = 1.2e-7), 2^n by the exponent field; 0 below 2^-126.
HWY_INLINE Vec Exp2(Tag d, Vec x) {
  const hn::RebindToSigned<Tag> di;
  const Vec magic = hn::Set(d, 0x1.8p23f);  // x + 1.5 * 2^23 keeps round(x) in its low bits
  const Vec shifted = hn::Add(x, magic);
  const Vec f = hn::Sub(x, hn::Sub(shifted, magic));
  Vec p = hn::Set(d, 1.5403530e-4f);
  p = hn::MulAdd(p, f, hn::Set(d, 1.3333558e-3f));
  p = hn::MulAdd(p, f, hn::Set(d, 9.6181291e-3f));
  p = hn::MulAdd(p, f, hn::Set(d, 5.5504109e-2f));
  p = hn::MulAdd(p, f, hn::Set(d, 2.4022651e-1f));
  p = hn::MulAdd(p, f, hn::Set(d, 6.9314718e-1f));
  p = hn::MulAdd(p, f, hn::Set(d, 1.0f));
  const Vec result = hn::BitCast(d, hn::Add(hn::BitCast(di, p), hn::ShiftLeft<23>(hn::BitCast(di, shifted))));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -126.0f)), result);
}

float Softmax(float* row, int64_t visible, int64_t length) {
  const Tag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t whole = visible / (4 * lanes) * (4 * lanes);
  const Vec lowest = hn::Set(d, -3.0e38f);
  Vec m0 = lowest, m1 = lowest, m2 = lowest, m3 = lowest;
  for (int64_t i = 0; i < whole; i += 4 * lanes) {
    m0 = hn::Max(m0, hn::LoadU(d, row + i));
    m1 = hn::Max(m1, hn::LoadU(d, row + i + lanes));
    m2 = hn::Max(m2, hn::LoadU(d, row + i + 2 * lanes));
    m3 = hn::Max(m3, hn::LoadU(d, row + i + 3 * lanes));
  }
  float max = hn::GetLane(hn::MaxOfLanes(d, hn::Max(hn::Max(m0, m1), hn::Max(m2, m3))));
  for (int64_t i = whole; i < visible; ++i) max = row[i] > max ? row[i] : max;

  const Vec log2e = hn::Set(d, 1.44269504f);
  const Vec maximum = hn::Set(d, max);
  Vec s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  for (int64_t i = 0; i < whole; i += 4 * lanes) {
    const Vec e0 = Exp2(d, hn::Mul(hn::Sub(hn::LoadU(d, row + i), maximum), log2e));
    const Vec e1 = Exp2(d, hn::Mul(hn::Sub(hn::LoadU(d, row + i + lanes), maximum), log2e));
    const Vec e2 = Exp2(d, hn::Mul(hn::Sub(hn::LoadU(d, row + i + 2 * lanes), maximum), log2e));
    const Vec e3 = Exp2(d, hn::Mul(hn::Sub(hn::LoadU(d, row + i + 3 * lanes), maximum), log2e));
    hn::StoreU(e0, d, row + i);
    hn::StoreU(e1, d, row + i + lanes);
    hn::StoreU(e2, d, row + i + 2 * lanes);
    hn::StoreU(e3, d, row + i + 3 * lanes);
    s0 = hn::Add(s0, e0);
    s1 = hn::Add(s1, e1);
    s2 = hn::Add(s2, e2);
    s3 = hn::Add(s3, e3);
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
  for (int64_t i = whole; i < visible; ++i) {
    row[i] = hn::GetLane(Exp2(d, hn::Mul(hn::Sub(hn::Set(d, row[i]), maximum), log2e)));
    sum += row[i];
  }
  for (int64_t i = visible; i < length; ++i) row[i] = 0;
  return sum;
}

}  // namespace HWY_NAMESPACE
}  // namespace attention::peers
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::peers {

HWY_EXPORT(Softmax);

float UnnormalizedSoftmax(float* row, int64_t visible, int64_t length) {
  return HWY_DYNAMIC_DISPATCH(Softmax)(row, visible, length);
}

}  // namespace attention::peers
#endif
