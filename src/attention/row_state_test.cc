#include "src/attention/row_state.h"

#include <vector>

#include "gtest/gtest.h"
#include "src/attention/attention_state.h"

namespace attention {
namespace {

TEST(RowStateTest, AnEmptyRowWeighsNothingAndIsNeutral) {
  EXPECT_EQ(NaturalRow::Weight(NaturalRow::kEmpty, 3.0f), 0.0f);
  EXPECT_EQ(Base2Row::Weight(Base2Row::kEmpty, Base2Row::kEmpty), 0.0f);
  const NaturalRow::Merge merge = NaturalRow::MergeOf(2.5f, NaturalRow::kEmpty);
  EXPECT_EQ(merge.m, 2.5f);
  EXPECT_EQ(merge.weight, 1.0f);
  EXPECT_EQ(merge.other_weight, 0.0f);
  EXPECT_EQ(NaturalRow::FinishFactor(0.0f), 0.0f);
}

TEST(RowStateTest, BothBasesWeighAlike) {
  for (float m : {-3.0f, 0.0f, 1.5f}) {
    EXPECT_NEAR(Base2Row::Weight(Base2FromNatural(m), Base2FromNatural(2.0f)), NaturalRow::Weight(m, 2.0f),
                1e-6f);
    EXPECT_NEAR(NaturalFromBase2(Base2FromNatural(m)), m, 1e-6f);
  }
}

// Any cut of a row's keys into two states gives the row's softmax.
TEST(RowStateTest, MergedPartsAreTheWhole) {
  const std::vector<double> logits = {0.5, -2, 700, 3, 699.5, -1e300};
  const std::vector<double> values = {1, -1, 2, 5, 7, 11};
  double sum = 0, weighted = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    sum += std::exp(logits[i] - 700);
    weighted += std::exp(logits[i] - 700) * values[i];
  }
  for (size_t cut = 0; cut <= logits.size(); ++cut) {
    double m[2] = {ReferenceRow::kEmpty, ReferenceRow::kEmpty}, l[2] = {}, o[2] = {};
    for (size_t i = 0; i < logits.size(); ++i) {
      const size_t part = i < cut ? 0 : 1;
      const ReferenceRow::Merge merge = ReferenceRow::MergeOf(m[part], logits[i]);
      m[part] = merge.m;
      l[part] = l[part] * merge.weight + merge.other_weight;
      o[part] = o[part] * merge.weight + merge.other_weight * values[i];
    }
    const ReferenceRow::Merge merge = ReferenceRow::MergeOf(m[0], m[1]);
    const double total = l[0] * merge.weight + l[1] * merge.other_weight;
    EXPECT_NEAR((o[0] * merge.weight + o[1] * merge.other_weight) * ReferenceRow::FinishFactor(total),
                weighted / sum, 1e-12);
  }
}

TEST(RowStateTest, StatesMergeByTheSameRule) {
  AttentionStateBuffer into(1, 1, 2, 3), other(1, 1, 2, 3);
  other.view().m[0] = 1.0f;
  other.view().l[0] = 2.0f;
  for (int d = 0; d < 3; ++d) other.view().o.Row<float>(0, 0, 0)[d] = static_cast<float>(d);
  MergeState(into.view(), other.view());
  EXPECT_EQ(into.view().m[0], 1.0f);
  EXPECT_EQ(into.view().l[0], 2.0f);
  EXPECT_EQ(into.view().o.Row<float>(0, 0, 0)[2], 2.0f);
  EXPECT_EQ(into.view().m[1], NaturalRow::kEmpty);
  MergeState(into.view(), other.view());
  EXPECT_EQ(into.view().l[0], 4.0f);
  EXPECT_EQ(into.view().o.Row<float>(0, 0, 0)[2], 4.0f);
}

}  // namespace
}  // namespace attention
