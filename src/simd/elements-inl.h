// Q, K and V elements as float vectors: float32 as it is, bf16 widened (it is the upper half of a float32),
// int8 as the whole numbers that they are, without their row's scale.
#if defined(SRC_SIMD_ELEMENTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SRC_SIMD_ELEMENTS_INL_H_
#undef SRC_SIMD_ELEMENTS_INL_H_
#else
#define SRC_SIMD_ELEMENTS_INL_H_
#endif

#include "src/base/data_type.h"
#include "src/simd/simd_base-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention {
namespace HWY_NAMESPACE {

// Vectors of tag D (of float), from any address.
template <class D>
HWY_INLINE hn::Vec<D> LoadElements(D d, const float* from) {
  return hn::LoadU(d, from);
}
template <class D>
HWY_INLINE hn::Vec<D> LoadElements(D d, const Bfloat16* from) {
#if HWY_TARGET == HWY_SCALAR
  return hn::Set(d, from->ToFloat());
#else
  const hn::Rebind<uint16_t, D> half;
  const hn::RebindToUnsigned<D> word;
  const auto bits = hn::PromoteTo(word, hn::LoadU(half, reinterpret_cast<const uint16_t*>(from)));
  return hn::BitCast(d, hn::ShiftLeft<16>(bits));
#endif
}
template <class D>
HWY_INLINE hn::Vec<D> LoadElements(D d, const int8_t* from) {
#if HWY_TARGET == HWY_SCALAR
  return hn::Set(d, static_cast<float>(*from));
#else
  const hn::Rebind<int8_t, D> narrow;
  const hn::RebindToSigned<D> word;
  return hn::ConvertTo(d, hn::PromoteTo(word, hn::LoadU(narrow, from)));
#endif
}
HWY_INLINE float LoadElement(const float* from) { return *from; }
HWY_INLINE float LoadElement(const Bfloat16* from) { return from->ToFloat(); }
HWY_INLINE float LoadElement(const int8_t* from) { return *from; }

}  // namespace HWY_NAMESPACE
}  // namespace attention
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
