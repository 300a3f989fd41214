#include "src/parallel/testing/covering_array.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace attention {
namespace {

TEST(CoveringArrayTest, EveryPairMeets) {
  const std::vector<std::vector<int>> plans = {{3}, {2, 2}, {5, 3, 2}, {52, 6, 5, 4, 5, 2, 2, 4}, {1, 7, 1}};
  for (const std::vector<int>& levels : plans) {
    const std::vector<std::vector<int>> rows = AllPairs(levels);
    for (size_t f = 0; f < levels.size(); ++f) {
      for (size_t g = 0; g < levels.size(); ++g) {
        std::set<std::pair<int, int>> met;
        for (const std::vector<int>& row : rows) {
          ASSERT_EQ(row.size(), levels.size());
          ASSERT_TRUE(row[f] >= 0 && row[f] < levels[f]);
          met.insert({row[f], row[g]});
        }
        EXPECT_EQ(met.size(), static_cast<size_t>(f == g ? levels[f] : levels[f] * levels[g]));
      }
    }
  }
}

TEST(CoveringArrayTest, StaysNearTheLowerBound) {
  // The two largest factors force 52 * 6 rows.
  EXPECT_LE(AllPairs({52, 6, 5, 4, 5, 2, 2, 4}).size(), 400u);
}

TEST(CoveringArrayTest, FullProduct) {
  EXPECT_EQ(FullProduct({2, 3}),
            (std::vector<std::vector<int>>{{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}}));
}

}  // namespace
}  // namespace attention
