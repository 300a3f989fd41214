// What every SIMD header here starts from: Highway's names, the widths of this target's register tile, and
// loop unrolling. Included once per target (foreach_target); everything lives in attention::HWY_NAMESPACE.
#include <cstddef>
#include <cstdint>

#if defined(SRC_SIMD_SIMD_BASE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SRC_SIMD_SIMD_BASE_INL_H_
#undef SRC_SIMD_SIMD_BASE_INL_H_
#else
#define SRC_SIMD_SIMD_BASE_INL_H_
#endif

#include "hwy/highway.h"
#include "src/simd/unroll.h"

HWY_BEFORE_NAMESPACE();
namespace attention {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using IntTag = hn::RebindToSigned<FloatTag>;
using FloatVec = hn::Vec<FloatTag>;

constexpr int kLanes = static_cast<int>(HWY_LANES(float));

// Register tile: kTileRows scalars broadcast against kTileVectors vectors. It fills the register file:
// kTileRows * kTileVectors accumulators, kTileVectors operands, one broadcast (and one product without FMA).
#if HWY_TARGET <= HWY_AVX3
constexpr int kTileRows = 8;  // 24 + 3 + 1 of 32
constexpr int kTileVectors = 3;
#elif HWY_TARGET <= HWY_AVX2
constexpr int kTileRows = 4;  // 12 + 3 + 1 of 16
constexpr int kTileVectors = 3;
#else
constexpr int kTileRows = 4;  // 8 + 2 + 2 of 16
constexpr int kTileVectors = 2;
#endif

}  // namespace HWY_NAMESPACE
}  // namespace attention
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
