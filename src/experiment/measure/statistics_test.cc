#include "src/experiment/measure/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "src/base/counter_random.h"

namespace attention {
namespace {

TEST(StatisticsTest, Median) {
  EXPECT_EQ(Median({3, 1, 2}), 2);
  EXPECT_EQ(Median({4, 1, 2, 3}), 2.5);
  EXPECT_TRUE(std::isnan(Median({})));
}

// Ranks of the interval's ends from published tables of the sign test (Conover 1999, table A3): n, k such
// that [x_(k), x_(n+1-k)] covers the median with at least 95 %.
TEST(StatisticsTest, IntervalRanksEqualTheTables) {
  const int tables[][2] = {{6, 1},  {8, 1},  {9, 2},  {10, 2},  {12, 3},
                           {15, 4}, {20, 6}, {25, 8}, {30, 10}, {50, 18}};
  for (const auto& [n, k] : tables) {
    std::vector<double> values;
    for (int i = 1; i <= n; ++i) values.push_back(i);
    const MedianInterval interval = MedianWithInterval(values);
    EXPECT_EQ(interval.low, k) << n;
    EXPECT_EQ(interval.high, n + 1 - k) << n;
  }
}

TEST(StatisticsTest, IntervalCoversTheMedianOfSkewedData) {
  int covered = 0;
  const int trials = 4000, n = 15;
  for (int t = 0; t < trials; ++t) {
    std::vector<double> values;
    for (int i = 0; i < n; ++i) values.push_back(std::exp(2 * RandomGaussian(1, t, i)));  // median 1
    const MedianInterval interval = MedianWithInterval(values);
    covered += interval.low <= 1 && 1 <= interval.high;
  }
  // Exact coverage at n = 15, k = 4 is 0.9648; five standard errors of the estimate.
  EXPECT_NEAR(covered / double{trials}, 0.9648, 5 * std::sqrt(0.9648 * 0.0352 / trials));
}

TEST(StatisticsTest, FewSamplesGiveTheirRange) {
  const MedianInterval interval = MedianWithInterval({2, 1, 3});
  EXPECT_EQ(interval.low, 1);
  EXPECT_EQ(interval.high, 3);
}

TEST(StatisticsTest, DriftComparesHalves) {
  EXPECT_NEAR(Drift({1, 1, 1, 9, 1.1, 1.1, 1.1}), 0.1, 1e-12);
  EXPECT_EQ(Drift({1, 2, 3}), 0);
}

// Ten rounds of two variants whose noise is `noise`, whatever the two extremes.
std::vector<std::vector<double>> PilotOf(double noise) {
  std::vector<std::vector<double>> pilot(2, std::vector<double>(10, 1.0));
  const double steps[] = {-50, -1, -0.5, 0, 0, 0, 0, 0.5, 1, 70};
  for (int r = 0; r < 10; ++r) pilot[0][(r * 7) % 10] = std::exp(noise * steps[r]);
  return pilot;
}

// The table of analysis/estimate/SAMPLE_SIZE.md, which paired_statistics_test.py has too.
TEST(StatisticsTest, RoundsFollowTheRule) {
  EXPECT_EQ(ChooseRounds(PilotOf(0.005), 1.03, 200), 15);
  EXPECT_EQ(ChooseRounds(PilotOf(0.02), 1.03, 200), 44);
  EXPECT_EQ(ChooseRounds(PilotOf(0.03), 1.03, 200), 99);
  EXPECT_EQ(ChooseRounds(PilotOf(0.05), 1.03, 200), 200);
  EXPECT_EQ(ChooseRounds(PilotOf(0.02), 1.02, 200), 175);
  EXPECT_EQ(ChooseRounds(PilotOf(0.05), 1.10, 200), 15);
  EXPECT_EQ(ChooseRounds(PilotOf(0), 1.03, 200), 15);
  EXPECT_EQ(ChooseRounds(PilotOf(0.02), 1.03, 12), 12);
}

TEST(StatisticsTest, TheNoisiestPairOfAllDecides) {
  // The first and the last variant are apart, and the noise is between them.
  std::vector<std::vector<double>> pilot = PilotOf(0.03);
  pilot.insert(pilot.begin() + 1, pilot[1]);
  EXPECT_EQ(ChooseRounds(pilot, 1.03, 200), 99);
}

TEST(StatisticsTest, OnlyTheLastTenPilotRoundsCount) {
  std::vector<std::vector<double>> pilot = PilotOf(0.03);
  for (auto& times : pilot) times.insert(times.begin(), {1, 5, 9});
  pilot[0][0] = 7;
  EXPECT_EQ(ChooseRounds(pilot, 1.03, 200), 99);
  EXPECT_EQ(ChooseRounds({{1, 2, 1}, {2, 1, 5}}, 1.02, 40), 15);
  EXPECT_EQ(ChooseRounds({}, 1.02, 40), 15);
}

// The rule must deliver what it promises: with so many rounds, a true ratio of the detectable size is found
// above 1.01 in at least 95 % of experiments, the pilot's own luck included. The interval here is coarser
// than the analysis', whose simulations (analysis/estimate/power_test.py) have drift and heavy tails too.
TEST(StatisticsTest, ChosenRoundsFindTheDetectableRatio) {
  const double detectable = 1.05, noise = 0.03;
  int found = 0;
  const int trials = 2000;
  for (int t = 0; t < trials; ++t) {
    uint64_t i = 0;
    const auto sample = [&](double median) { return median * std::exp(noise * RandomGaussian(2, t, i++)); };
    std::vector<std::vector<double>> pilot(2);
    for (size_t r = 0; r < kPilotRounds; ++r) {
      pilot[0].push_back(sample(1));
      pilot[1].push_back(sample(detectable));
    }
    const int rounds = ChooseRounds(pilot, detectable, 1000);
    std::vector<double> ratios;
    for (int r = 0; r < rounds; ++r) ratios.push_back(sample(detectable) / sample(1));
    found += MedianWithInterval(ratios).low > 1.01;
  }
  EXPECT_GE(found / double{trials}, 0.95);
}

}  // namespace
}  // namespace attention
