#include "src/base/int8_row.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "src/base/counter_random.h"

namespace attention {
namespace {

struct Stored {
  std::vector<int8_t> row;
  float scale;
  std::vector<float> widened;
};

Stored Round(const std::vector<float>& x) {
  constexpr int8_t kUntouched = 99;
  Stored stored{std::vector<int8_t>(x.size() + sizeof(float) + 1, kUntouched), 0, x};
  RoundToInt8Row(x, stored.row.data());
  EXPECT_EQ(stored.row.back(), kUntouched);
  stored.scale = ScaleOfInt8Row(stored.row.data(), static_cast<int64_t>(x.size()));
  WidenInt8Row(stored.row.data(), stored.widened);
  return stored;
}

std::vector<float> Gaussian(size_t n, uint64_t stream, double size) {
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = static_cast<float>(size * RandomGaussian(7, stream, i));
  return x;
}

TEST(Int8RowTest, AnElementIsHalfAScaleAwayAtMost) {
  uint64_t stream = 0;
  for (size_t n : {1, 2, 3, 15, 64, 80, 127, 128, 129, 256}) {
    for (double size : {1e-30, 1e-3, 1.0, 300.0, 1e37}) {
      const std::vector<float> x = Gaussian(n, stream++, size);
      float largest = 0;
      for (float value : x) largest = std::max(largest, std::abs(value));
      const Stored stored = Round(x);
      ASSERT_NEAR(stored.scale, largest / 127, largest * 1e-9f);
      // The bound of the header: half a scale, and what the division and the product round.
      const double bound = stored.scale * (0.5 + 0x1p-16);
      bool uses_the_whole_range = false;
      for (size_t i = 0; i < n; ++i) {
        ASSERT_LE(std::abs(double{x[i]} - double{stored.scale} * stored.row[i]), bound) << n << " " << i;
        ASSERT_EQ(stored.widened[i], stored.scale * static_cast<float>(stored.row[i]));
        uses_the_whole_range = uses_the_whole_range || std::abs(stored.row[i]) == 127;
      }
      ASSERT_TRUE(uses_the_whole_range) << n << " " << size;
    }
  }
}

TEST(Int8RowTest, TiesGoToEven) {
  const Stored stored = Round({127.0f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -126.5f, 126.5f, 0.49f, -0.51f});
  EXPECT_EQ(stored.scale, 1.0f);
  const std::vector<int8_t> expected = {127, 0, 2, 2, 0, -2, -126, 126, 0, -1};
  EXPECT_EQ(std::vector<int8_t>(stored.row.begin(), stored.row.begin() + 10), expected);
}

TEST(Int8RowTest, NothingAndNextToNothing) {
  for (const std::vector<float>& x :
       {std::vector<float>{0.0f, -0.0f, 0.0f}, std::vector<float>{1e-44f, 0.0f, -1e-45f}}) {
    const Stored stored = Round(x);
    EXPECT_EQ(stored.scale, 0.0f);
    for (float value : stored.widened) EXPECT_EQ(value, 0.0f);
  }
  // A denormal scale is coarse: quotients pass 127.
  const Stored coarse = Round({1.5e-43f, 7e-44f});
  EXPECT_EQ(coarse.row[0], 107);
  EXPECT_NEAR(coarse.widened[0], 1.5e-43f, 2e-45f);
  EXPECT_TRUE(Round({}).widened.empty());
}

TEST(Int8RowTest, WhatIsNotFiniteIsNanThroughout) {
  for (float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                    std::numeric_limits<float>::quiet_NaN()}) {
    const Stored stored = Round({1.0f, bad, 2.0f});
    for (float value : stored.widened) EXPECT_TRUE(std::isnan(value)) << bad;
  }
}

}  // namespace
}  // namespace attention
