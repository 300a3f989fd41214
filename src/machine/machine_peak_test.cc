#include "src/machine/machine_peak.h"

#include <chrono>
#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "src/simd/isa.h"

namespace attention {
namespace {

// No timed assertion: only that every ISA's loop runs and gives a rate.
TEST(MachinePeakTest, EveryIsaHasARate) {
  for (Isa isa : SupportedIsas()) {
    for (DataType type : {DataType::kFloat32, DataType::kBfloat16}) {
      for (int threads : {1, 2}) {
        const double rate = MeasurePeakGflops(isa, type, threads, 1e-4);
        EXPECT_TRUE(std::isfinite(rate) && rate > 0) << Name(isa);
      }
    }
  }
}

TEST(MachinePeakTest, EveryIsaReads) {
  const std::vector<float> memory(1 << 18, 1.0f);
  for (Isa isa : SupportedIsas()) {
    for (int threads : {1, 3}) {
      const double rate =
          MeasureReadBandwidth(isa, threads, memory.data(), memory.size() * sizeof(float), 1e-4);
      EXPECT_TRUE(std::isfinite(rate) && rate > 0) << Name(isa);
    }
  }
}

TEST(MachinePeakTest, AStretchIsOfManyPasses) {
  const std::vector<float> memory(1 << 14, 1.0f);
  const auto begin = std::chrono::steady_clock::now();
  const double rate = MeasureReadBandwidth(Isa::kScalar, 2, memory.data(), memory.size() * sizeof(float),
                                           /*seconds=*/0, /*stretch_seconds=*/0.01);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(10));
  EXPECT_TRUE(std::isfinite(rate) && rate > 0);
}

TEST(MachinePeakTest, TheClockHasARate) { EXPECT_GT(MeasureClockGhz(1e-4), 0); }

}  // namespace
}  // namespace attention
