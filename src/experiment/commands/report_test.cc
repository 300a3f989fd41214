#include "src/experiment/commands/report.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "src/experiment/ask/experiment_file.h"

namespace attention {
namespace {

// The line of the only case, which took 1 to 3 and in the middle 2 ms.
std::string LineOf(double exposed_s, double low_s = 1e-3) {
  const Plan plan = MakePlan(
      ParseExperiment("name: x\ngrid: {variant: [sequence+standard], seq_len: [8], ranks: [2]}\n", "x.yaml"),
      {Isa::kScalar});
  CaseRow row;
  row.cell = &plan.cells.front();
  row.made = &row.cell->cases.front();
  row.time_median_s = 2e-3;
  row.time_low_s = low_s;
  row.time_high_s = 3e-3;
  row.comm_exposed_s = exposed_s;
  const std::string report = ResultReport({row});
  const size_t begin = report.find("sequence+standard", report.find("exposed ms"));
  return report.substr(begin, report.find('\n', begin) - begin);
}

TEST(ReportTest, ExposedCommunicationThatIsNotResolvedIsNoNumber) {
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NE(LineOf(1.5e-3).find(" 1.50 "), std::string::npos) << LineOf(1.5e-3);
  EXPECT_NE(LineOf(0.9e-3).find("not resolved"), std::string::npos) << LineOf(0.9e-3);
  EXPECT_NE(LineOf(-7.7e-3).find("not resolved"), std::string::npos) << LineOf(-7.7e-3);
  EXPECT_NE(LineOf(1.5e-3, kUnknown).find("not resolved"), std::string::npos)
      << "too few rounds for an interval";
  // Nothing travels, or it was not measured apart.
  EXPECT_EQ(LineOf(0.0).find("not resolved"), std::string::npos) << LineOf(0.0);
  EXPECT_EQ(LineOf(kUnknown).find("not resolved"), std::string::npos) << LineOf(kUnknown);
}

}  // namespace
}  // namespace attention
