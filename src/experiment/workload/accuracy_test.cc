// Which rows are compared with float64, and how closely.
#include "src/experiment/workload/accuracy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

namespace attention {
namespace {

TEST(AccuracyTest, RowsIncludeEveryBorder) {
  const std::vector<int64_t> rows = BorderRows(Mask::Causal(), 130, 2, {{32, 64}});
  const std::set<int64_t> found(rows.begin(), rows.end());
  for (int64_t row : {0, 129, 64, 65, 31, 32, 63, 127, 128}) EXPECT_EQ(found.count(row), 1u) << row;
  const std::vector<int64_t> first = SampleRows(rows, 130, 64, 1, 0),
                             second = SampleRows(rows, 130, 64, 1, 1);
  EXPECT_EQ(first.size(), 64u);
  EXPECT_NE(first, second) << "heads look at different rows";
  for (int64_t row : rows) EXPECT_TRUE(std::binary_search(first.begin(), first.end(), row));
  EXPECT_EQ(SampleRows({0, 5, 99}, 3, 64, 1, 0), (std::vector<int64_t>{0, 1, 2}));
}

TEST(AccuracyTest, RowsIncludeWhereDocumentsAreCut) {
  // As in docs/design.md, but ten times as long: rank 1 has [20, 80), rank 0 the rest.
  const std::vector<int64_t> rows = BorderRows(Mask::Documents(std::vector<int64_t>{20, 80, 20}), 120, 2, {});
  for (int64_t row : {19, 20, 79, 80}) EXPECT_TRUE(std::ranges::binary_search(rows, row)) << row;
}

TEST(AccuracyTest, EveryPlaceThatRoundsAddsToTheTolerance) {
  Cell cell;
  cell.scope = Scope::kModel;
  cell.model.layers = 4;
  const auto tolerance = [&](DataType activations, DataType kv_cache) {
    cell.precision = {activations, kv_cache};
    return CellTolerance(cell);
  };
  const DataType fp32 = DataType::kFloat32, bf16 = DataType::kBfloat16;
  EXPECT_DOUBLE_EQ(tolerance(fp32, fp32), 2 * 5e-6);
  EXPECT_DOUBLE_EQ(tolerance(bf16, fp32), 2 * 0x1p-8);
  EXPECT_DOUBLE_EQ(tolerance(fp32, DataType::kInt8), 2 * 0x1p-8);
  EXPECT_DOUBLE_EQ(tolerance(bf16, bf16), 2 * std::sqrt(2.0) * 0x1p-8);
  cell.scope = Scope::kLayer;
  EXPECT_DOUBLE_EQ(tolerance(bf16, fp32), 0x1p-8);
}

TEST(AccuracyTest, ToleranceIsCapped) {
  AttentionProblem problem;
  problem.kv_tokens = 8192;
  EXPECT_EQ(RelativeTolerance(problem, InputDataKind::kGaussian), 5e-6);
  EXPECT_EQ(RelativeTolerance(problem, InputDataKind::kPeaked), 5e-6);
  problem.kv_tokens = 4 * 8192;
  EXPECT_LE(RelativeTolerance(problem, InputDataKind::kPeaked), 1e-5);
  problem.kv_tokens = 16;
  EXPECT_LT(RelativeTolerance(problem, InputDataKind::kGaussian), 2.5e-6);
}

}  // namespace
}  // namespace attention
