#include "src/experiment/measure/sample_summary.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "src/experiment/measure/rounds.h"

namespace attention {
namespace {

SampleRow Sample(double time_s) {
  SampleRow sample;
  sample.time_s = time_s;
  sample.peak_gflops = 100;
  sample.read_gb_per_s = 10;
  return sample;
}

TEST(SampleSummaryTest, NothingMeasuredSaysNothing) {
  CaseRow row;
  SummarizeSamples({}, 1e9, row);
  EXPECT_EQ(row.rounds, 0);
  EXPECT_TRUE(std::isnan(row.time_median_s));
  EXPECT_TRUE(std::isnan(row.pct_peak));
}

TEST(SampleSummaryTest, MediansRatesAndShares) {
  std::vector<SampleRow> samples = {Sample(0.02), Sample(0.04), Sample(0.03)};
  samples[1].peak_gflops = 50;
  samples[0].page_faults = 7;
  CaseRow row;
  SummarizeSamples(samples, 1e9, row);
  EXPECT_EQ(row.rounds, 3);
  EXPECT_DOUBLE_EQ(row.time_median_s, 0.03);
  EXPECT_DOUBLE_EQ(row.time_low_s, 0.02);
  EXPECT_DOUBLE_EQ(row.time_high_s, 0.04);
  EXPECT_DOUBLE_EQ(row.gflops, 1 / 0.03);
  // 50 of 100, 25 of 50, 33 of 100: each sample against the peak beside it.
  EXPECT_DOUBLE_EQ(row.pct_peak, 50);
  EXPECT_DOUBLE_EQ(row.peak_gflops, 100);
  EXPECT_DOUBLE_EQ(row.page_faults, 0);
}

TEST(SampleSummaryTest, PartsThatWereNotMeasuredStayEmpty) {
  std::vector<SampleRow> samples = {Sample(0.02), Sample(0.02), Sample(0.02)};
  CaseRow row;
  SummarizeSamples(samples, 1e9, row);
  EXPECT_TRUE(std::isnan(row.compute_s));
  EXPECT_TRUE(std::isnan(row.overlap_fraction));
  samples[2].compute_s = 0.015;
  samples[2].comm_total_s = 0.01;
  samples[2].comm_exposed_s = 0.0025;
  SummarizeSamples(samples, 1e9, row);
  EXPECT_DOUBLE_EQ(row.compute_s, 0.015);
  EXPECT_DOUBLE_EQ(row.overlap_fraction, 0.75);
}

TEST(SampleSummaryTest, DriftBeyondTheIntervalIsSaid) {
  std::vector<SampleRow> steady, drifting;
  for (int i = 0; i < 40; ++i) {
    steady.push_back(Sample(0.02 + 1e-4 * (i % 5)));
    // The median lies in the longer, later half, whose samples agree.
    drifting.push_back(Sample(i < 12 ? 0.01 : 0.02));
  }
  CaseRow row;
  SummarizeSamples(steady, 1e9, row);
  EXPECT_EQ(row.message, "");
  SummarizeSamples(drifting, 1e9, row);
  EXPECT_DOUBLE_EQ(row.drift, 1);
  EXPECT_EQ(row.message, "drift: the second half of the samples differs by 100 %, beyond the interval");
  CaseRow failed;
  failed.status = CaseStatus::kFailed;
  failed.message = "wrong result";
  SummarizeSamples(drifting, 1e9, failed);
  EXPECT_EQ(failed.message, "wrong result");
}

TEST(RoundsTest, TheBudgetCapsTheNumber) {
  MeasureOptions measure;
  measure.min_rounds = 2;
  measure.max_rounds = 200;
  measure.seconds_per_cell = 3;
  // Three rounds took 1 s: six more fit into the 2 s left.
  EXPECT_EQ(RoundsAfterPilot(measure, {{1, 1, 1}}, 3, 1.0), 6);
  EXPECT_EQ(RoundsAfterPilot(measure, {{1, 1, 1}}, 3, 2.9), 2);
  measure.seconds_per_cell = 0;
  EXPECT_EQ(RoundsAfterPilot(measure, {{1, 1, 1}}, 3, 1.0), 200);
  EXPECT_FALSE(PilotIsLong(measure, 1e9));
  measure.seconds_per_cell = 3;
  EXPECT_FALSE(PilotIsLong(measure, 0.9));
  EXPECT_TRUE(PilotIsLong(measure, 1.1));
}

}  // namespace
}  // namespace attention
