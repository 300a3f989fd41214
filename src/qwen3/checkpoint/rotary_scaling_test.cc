// Frequencies against those of tools/golden/qwen3_reference.py (rotary_frequencies), which has transformers'
// definition line by line.
#include "src/qwen3/checkpoint/rotary_scaling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "src/base/error.h"

namespace attention {
namespace {

RotaryScaling Read(const char* rope) {
  return ReadRotaryScaling(nlohmann::json::parse(rope), 40960, "config.json: 'rope_scaling'");
}

TEST(RotaryScalingTest, LinearDividesEveryFrequency) {
  const std::vector<double> plain = RotaryFrequencies(16, 1e4, {}),
                            half =
                                RotaryFrequencies(16, 1e4, Read(R"({"rope_type": "linear", "factor": 2})"));
  ASSERT_EQ(plain.size(), 8u);
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_DOUBLE_EQ(plain[i], std::pow(1e4, -static_cast<double>(i) / 8));
    EXPECT_DOUBLE_EQ(half[i], plain[i] / 2);
  }
}

// Qwen3's model cards: factor 4 of 32768 positions, theta 1e6, head_dim 128.
TEST(RotaryScalingTest, YarnOfTheModelCards) {
  const RotaryScaling scaling =
      Read(R"({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768})");
  EXPECT_NEAR(scaling.magnitude, 1.138629436111989, 1e-15);
  const std::vector<double> frequencies = RotaryFrequencies(128, 1e6, scaling);
  const struct {
    size_t pair;
    double frequency;
  } expected[] = {{0, 1.0},
                  {23, 0.006978305848598663},
                  {24, 0.005375321490790102},
                  {30, 0.001064360981247002},
                  {40, 4.4456985250973074e-05},
                  {45, 1.5107409755953319e-05},
                  {50, 5.133812566142866e-06},
                  {63, 3.102344401879299e-07}};
  for (const auto& [pair, frequency] : expected) {
    EXPECT_NEAR(frequencies[pair] / frequency, 1, 1e-13) << pair;
  }
}

TEST(RotaryScalingTest, MagnitudeOfYarn) {
  const auto magnitude = [](const char* rope) { return Read(rope).magnitude; };
  EXPECT_EQ(magnitude(R"({"rope_type": "yarn", "factor": 1})"), 1);
  EXPECT_EQ(magnitude(R"({"rope_type": "yarn", "factor": 4, "attention_factor": 1.5})"), 1.5);
  EXPECT_DOUBLE_EQ(magnitude(R"({"rope_type": "yarn", "factor": 40, "mscale": 1, "mscale_all_dim": 1})"), 1);
  EXPECT_DOUBLE_EQ(magnitude(R"({"rope_type": "yarn", "factor": 40, "mscale": 2, "mscale_all_dim": 1})"),
                   (0.2 * std::log(40) + 1) / (0.1 * std::log(40) + 1));
}

TEST(RotaryScalingTest, WithoutTruncationTheRampEndsBetweenPairs) {
  RotaryScaling scaling =
      Read(R"({"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 4096})");
  const std::vector<double> whole = RotaryFrequencies(64, 1e4, scaling);
  scaling.truncate = false;
  EXPECT_NE(RotaryFrequencies(64, 1e4, scaling), whole);
}

}  // namespace
}  // namespace attention
