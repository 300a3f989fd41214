#include "src/parallel/partition/reduction_tree.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace attention {
namespace {

// What each rank has of everybody's after the tree, and how often it sent.
TEST(ReductionTreeTest, EveryRankGetsEverythingOnce) {
  for (int ranks = 1; ranks <= 20; ++ranks) {
    const ReductionTree tree = ReductionTree::Of(ranks);
    std::vector<std::multiset<int>> has;
    std::vector<int64_t> sent(static_cast<size_t>(ranks), 0);
    for (int rank = 0; rank < ranks; ++rank) has.push_back({rank});
    for (int rank = tree.power; rank < ranks; ++rank) {
      has[static_cast<size_t>(rank - tree.power)].insert(rank);
      ++sent[static_cast<size_t>(rank)];
    }
    for (int level = 0; level < tree.levels; ++level) {
      const std::vector<std::multiset<int>> before = has;
      for (int rank = 0; rank < tree.power; ++rank) {
        const std::multiset<int>& more = before[static_cast<size_t>(tree.Partner(rank, level))];
        has[static_cast<size_t>(rank)].insert(more.begin(), more.end());
        ++sent[static_cast<size_t>(rank)];
      }
    }
    for (int rank = tree.power; rank < ranks; ++rank) {
      has[static_cast<size_t>(rank)] = has[static_cast<size_t>(rank - tree.power)];
      ++sent[static_cast<size_t>(rank - tree.power)];
    }
    std::multiset<int> all;
    for (int rank = 0; rank < ranks; ++rank) all.insert(rank);
    for (int rank = 0; rank < ranks; ++rank) {
      EXPECT_EQ(has[static_cast<size_t>(rank)], all) << rank << " of " << ranks;
      EXPECT_EQ(sent[static_cast<size_t>(rank)], tree.SendsOf(rank)) << rank << " of " << ranks;
      EXPECT_LE(tree.SendsOf(rank), tree.MostSends());
    }
  }
}

}  // namespace
}  // namespace attention
