// 2^x of every ISA against float64, over its whole range.
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "src/kernels/attention_kernel.h"
#include "src/kernels/simd/tile_kernels.h"

namespace attention {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> Exp2(Isa isa, const std::vector<float>& x) {
  std::vector<float> padded(x), result;
  padded.resize((x.size() + 63) / 64 * 64, 0.0f);
  result.resize(padded.size());
  GetTileKernels(isa).exp2(padded.data(), static_cast<int64_t>(padded.size()), result.data());
  result.resize(x.size());
  return result;
}

// Documented: below 2 ULP, that is 2 * 2^-23 relative at worst.
TEST(ExpTest, TwoUlpWhereTheResultIsNormal) {
  std::vector<float> x;
  for (int64_t i = 0; i <= 2000000; ++i) x.push_back(static_cast<float>(-126.0 + i * (253.0 / 2000000)));
  for (float value = 1e-30f; value < 1; value *= 1.01f) {
    x.push_back(value);
    x.push_back(-value);
  }
  for (Isa isa : SupportedIsas()) {
    const std::vector<float> result = Exp2(isa, x);
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double expected = std::exp2(static_cast<double>(x[i]));
      worst = std::max(worst, std::fabs(result[i] / expected - 1));
    }
    EXPECT_LT(worst, 2 * 0x1p-23) << Name(isa);
  }
}

TEST(ExpTest, UnderflowsToAtMostTheExactValue) {
  std::vector<float> x;
  for (double value = -126; value > -1e6; value *= 1.0001) x.push_back(static_cast<float>(value));
  x.insert(x.end(), {-1e10f, -1e20f, -3e38f, -kInfinity});
  for (Isa isa : SupportedIsas()) {
    const std::vector<float> result = Exp2(isa, x);
    for (size_t i = 0; i < x.size(); ++i) {
      const double expected = std::exp2(static_cast<double>(x[i]));
      EXPECT_GE(result[i], 0) << Name(isa) << " x=" << x[i];
      // Either flushed, or a denormal rounded to the nearest multiple of 2^-149.
      EXPECT_LE(result[i], expected * (1 + 0x1p-22) + 0x1p-149) << Name(isa) << " x=" << x[i];
    }
    EXPECT_EQ(result.back(), 0.0f) << Name(isa);
  }
}

TEST(ExpTest, NanStaysNan) {
  for (Isa isa : SupportedIsas()) {
    EXPECT_TRUE(std::isnan(Exp2(isa, {std::numeric_limits<float>::quiet_NaN()})[0])) << Name(isa);
  }
}

}  // namespace
}  // namespace attention
