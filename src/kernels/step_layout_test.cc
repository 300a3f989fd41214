// Blocks of rows that threads share.
#include "src/kernels/step_layout.h"

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"
#include "src/base/error.h"

namespace attention {
namespace {

constexpr int64_t kMaxRows = 48;
constexpr int64_t kGranule = 16;

std::vector<RowBlock> Blocks(const std::vector<TokenSegment>& segments, int64_t threads) {
  const SharedRowBlocks blocks(segments, kMaxRows, kGranule, threads);
  std::vector<RowBlock> all;
  for (int64_t i = 0; i < blocks.count(); ++i) all.push_back(blocks.Get(i));
  return all;
}

TEST(SharedRowBlocksTest, EveryRowOnceInOrder) {
  for (int64_t threads : {1, 2, 3, 8}) {
    for (int64_t length : {0, 1, 15, 16, 47, 48, 49, 96, 512, 1000}) {
      const std::vector<TokenSegment> segments = {{5, 1005, length}, {0, 7, 0}, {length + 5, 40, 33}};
      std::vector<RowBlock> blocks = Blocks(segments, threads);
      for (const TokenSegment& segment : segments) {
        int64_t at = 0;
        while (at < segment.length) {
          ASSERT_FALSE(blocks.empty()) << length << " rows, " << threads << " threads";
          EXPECT_EQ(blocks.front().local_begin, segment.local_begin + at);
          EXPECT_EQ(blocks.front().global_begin, segment.global_begin + at);
          EXPECT_GE(blocks.front().rows, 1);
          EXPECT_LE(blocks.front().rows, kMaxRows);
          at += blocks.front().rows;
          blocks.erase(blocks.begin());
        }
        EXPECT_EQ(at, segment.length);
      }
      EXPECT_TRUE(blocks.empty());
    }
  }
}

// Dealt in turn, largest first, no thread has more than a granule more than another.
TEST(SharedRowBlocksTest, ThreadsGetAlike) {
  for (int64_t threads : {1, 2, 3, 8}) {
    for (int64_t granules = 1; granules <= 100; ++granules) {
      std::vector<RowBlock> blocks = Blocks({{0, 0, granules * kGranule}}, threads);
      std::ranges::sort(blocks, [](const RowBlock& a, const RowBlock& b) { return a.rows > b.rows; });
      std::vector<int64_t> rows(static_cast<size_t>(threads));
      for (const RowBlock& block : blocks) *std::ranges::min_element(rows) += block.rows;
      const auto [least, most] = std::ranges::minmax(rows);
      EXPECT_LE(most - least, kGranule) << granules << " granules, " << threads << " threads";
    }
  }
}

TEST(SharedRowBlocksTest, OneThreadHasNoMoreBlocksThanItMust) {
  EXPECT_EQ(Blocks({{0, 0, 512}}, 1).size(), 11u);
  EXPECT_EQ(Blocks({{0, 0, 512}}, 2).size(), 12u);
  EXPECT_EQ(Blocks({{0, 0, 480}}, 2).size(), 10u);
}

TEST(SharedRowBlocksTest, PastTheEnd) {
  const std::vector<TokenSegment> segments = {{0, 0, 10}};
  EXPECT_THROW(SharedRowBlocks(segments, kMaxRows, kGranule, 2).Get(1), Error);
}

}  // namespace
}  // namespace attention
