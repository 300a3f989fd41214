#include "src/parallel/testing/covering_array.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <set>
#include <vector>

namespace attention {
namespace {

// Of every choice of `strength` factors, how many tuples of values meet in some row.
void ExpectCovered(const std::vector<int>& levels, size_t strength) {
  const std::vector<std::vector<int>> rows = CoveringArray(levels, strength);
  for (const std::vector<int>& row : rows) {
    ASSERT_EQ(row.size(), levels.size());
    for (size_t f = 0; f < levels.size(); ++f) ASSERT_TRUE(row[f] >= 0 && row[f] < levels[f]);
  }
  for (uint32_t choice = 0; choice < (1u << levels.size()); ++choice) {
    if (std::popcount(choice) != static_cast<int>(strength)) continue;
    std::set<std::vector<int>> met;
    size_t all = 1;
    for (size_t f = 0; f < levels.size(); ++f)
      all *= (choice >> f & 1) != 0 ? static_cast<size_t>(levels[f]) : 1;
    for (const std::vector<int>& row : rows) {
      std::vector<int> tuple;
      for (size_t f = 0; f < levels.size(); ++f) {
        if ((choice >> f & 1) != 0) tuple.push_back(row[f]);
      }
      met.insert(tuple);
    }
    EXPECT_EQ(met.size(), all) << choice;
  }
}

TEST(CoveringArrayTest, EveryPairMeets) {
  for (const std::vector<int>& levels :
       std::vector<std::vector<int>>{{3}, {2, 2}, {5, 3, 2}, {52, 6, 5, 4, 5, 2, 2, 4}, {1, 7, 1}}) {
    if (levels.size() >= 2) ExpectCovered(levels, 2);
  }
  EXPECT_EQ(CoveringArray({3}, 2).size(), 3u);
}

TEST(CoveringArrayTest, EveryTripleMeets) {
  for (const std::vector<int>& levels :
       std::vector<std::vector<int>>{{2, 2, 2}, {5, 3, 2, 4}, {7, 1, 4, 5, 2, 20, 1, 4}}) {
    ExpectCovered(levels, 3);
  }
}

TEST(CoveringArrayTest, StaysNearTheLowerBound) {
  // The two largest factors force 52 * 6 rows, the three largest 52 * 7 * 5.
  EXPECT_LE(CoveringArray({52, 6, 5, 4, 5, 2, 2, 4}, 2).size(), 400u);
  EXPECT_LE(CoveringArray({7, 4, 5, 2, 52, 4}, 3).size(), 2600u);
}

TEST(CoveringArrayTest, FullProduct) {
  EXPECT_EQ(FullProduct({2, 3}),
            (std::vector<std::vector<int>>{{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}}));
}

}  // namespace
}  // namespace attention
