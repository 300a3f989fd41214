#include "src/experiment/measure/orders.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>

namespace attention {
namespace {

int64_t Factorial(int n) {
  int64_t product = 1;
  for (int i = 2; i <= n; ++i) product *= i;
  return product;
}

TEST(OrdersTest, EveryPlaceOnceInARow) {
  for (int count = 1; count <= 7; ++count) {
    for (int64_t first : {-3 * count, 0, 5 * count}) {
      std::map<std::pair<int, int>, int> seen;
      for (int64_t index = first; index < first + count; ++index) {
        const std::vector<int> order = BalancedOrder(count, 42, OrderOf::kMaking, "cell", index);
        ASSERT_EQ(order.size(), static_cast<size_t>(count));
        for (int place = 0; place < count; ++place) ++seen[{order[place], place}];
      }
      EXPECT_EQ(seen.size(), static_cast<size_t>(count) * count) << count << " from " << first;
    }
  }
}

TEST(OrdersTest, EveryPermutationOnce) {
  for (int count = 1; count <= 6; ++count) {
    for (uint64_t seed : {1, 2, 3, 99}) {
      std::set<std::vector<int>> seen;
      for (int64_t index = -7; index < Factorial(count) - 7; ++index) {
        seen.insert(BalancedOrder(count, seed, OrderOf::kRound, "cell", index));
      }
      EXPECT_EQ(static_cast<int64_t>(seen.size()), Factorial(count)) << count << " seed " << seed;
    }
  }
}

TEST(OrdersTest, ManyVariantsStillBalanced) {
  for (int count : {13, 14, 20}) {
    std::vector<int> order = BalancedOrder(count, 1, OrderOf::kRound, "cell", 1000003);
    std::set<int> seen(order.begin(), order.end());
    EXPECT_EQ(seen.size(), static_cast<size_t>(count));
  }
}

// Seeds, cells and what is ordered draw for themselves; the same ones again give the same.
TEST(OrdersTest, DrawnFromTheSeed) {
  const auto sequence = [](uint64_t seed, OrderOf what, const std::string& cell) {
    std::vector<std::vector<int>> orders;
    for (int64_t index = 0; index < 24; ++index) orders.push_back(BalancedOrder(6, seed, what, cell, index));
    return orders;
  };
  EXPECT_EQ(sequence(1, OrderOf::kRound, "a"), sequence(1, OrderOf::kRound, "a"));
  EXPECT_NE(sequence(1, OrderOf::kRound, "a"), sequence(1, OrderOf::kRound, "b"));
  EXPECT_NE(sequence(1, OrderOf::kRound, "a"), sequence(1, OrderOf::kMaking, "a"));
  int equal = 0;
  for (uint64_t seed = 2; seed < 12; ++seed) {
    equal += sequence(seed, OrderOf::kRound, "a") == sequence(1, OrderOf::kRound, "a");
  }
  EXPECT_LT(equal, 8);
}

TEST(OrdersTest, CellsInAnOrderOfTheirOwnInEachLaunch) {
  std::map<size_t, int> first;
  for (int launch = 0; launch < 400; ++launch) {
    const std::vector<size_t> order = CellOrder(5, 3, launch);
    EXPECT_EQ(std::set<size_t>(order.begin(), order.end()).size(), 5u);
    ++first[order.front()];
  }
  // Binomial with mean 80 and deviation 8.
  for (const auto& [cell, count] : first) EXPECT_NEAR(count, 80, 40) << cell;
  EXPECT_EQ(CellOrder(5, 3, 1), CellOrder(5, 3, 1));
  EXPECT_TRUE(CellOrder(0, 3, 1).empty());
}

}  // namespace
}  // namespace attention
