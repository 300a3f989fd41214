// Blocks of query rows.
#include "src/kernels/layout/step_layout.h"

#include <vector>

#include "gtest/gtest.h"
#include "src/base/error.h"

namespace attention {
namespace {

constexpr int64_t kMaxRows = 48;
constexpr int64_t kGranule = 16;

std::vector<RowBlock> Blocks(const std::vector<TokenSegment>& segments) {
  const RowBlocks blocks(segments, kMaxRows, kGranule);
  std::vector<RowBlock> all;
  for (int64_t i = 0; i < blocks.count(); ++i) all.push_back(blocks.Get(i));
  return all;
}

TEST(RowBlocksTest, EveryRowOnceInOrder) {
  for (int64_t length : {0, 1, 15, 16, 47, 48, 49, 96, 512, 1000}) {
    const std::vector<TokenSegment> segments = {{5, 1005, length}, {0, 7, 0}, {length + 5, 40, 33}};
    std::vector<RowBlock> blocks = Blocks(segments);
    for (const TokenSegment& segment : segments) {
      int64_t at = 0;
      while (at < segment.length) {
        ASSERT_FALSE(blocks.empty()) << length << " rows";
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

TEST(RowBlocksTest, NoMoreThanItMustAndNearlyEqual) {
  EXPECT_EQ(Blocks({{0, 0, 512}}).size(), 11u);
  // 48 and 16 rows would leave a third of the last block's columns for a whole pass over the keys.
  const std::vector<RowBlock> blocks = Blocks({{0, 0, 64}});
  ASSERT_EQ(blocks.size(), 2u);
  EXPECT_EQ(blocks[0].rows, 32);
  EXPECT_EQ(blocks[1].rows, 32);
}

// Ten heads of 512 rows keep two threads busy in whole blocks; one head does not.
TEST(RowsPerBlockTest, EveryThreadHasSomeBlocks) {
  EXPECT_EQ(RowsPerBlock(512, 10, kMaxRows, kGranule, 2), kMaxRows);
  EXPECT_EQ(RowsPerBlock(512, 1, kMaxRows, kGranule, 2), 32);
  EXPECT_EQ(RowsPerBlock(512, 1, kMaxRows, kGranule, 64), kGranule);
  EXPECT_EQ(RowsPerBlock(2048, 1, kMaxRows, kGranule, 8), 32);
  EXPECT_EQ(RowsPerBlock(512, 1, kMaxRows, kGranule, 1), kMaxRows);
  EXPECT_EQ(RowsPerBlock(512, 1, 10, kGranule, 64), 10);  // as many rows as were asked for
  EXPECT_EQ(RowsPerBlock(0, 0, kMaxRows, kGranule, 2), kMaxRows);
}

TEST(RowBlocksTest, PastTheEnd) {
  const std::vector<TokenSegment> segments = {{0, 0, 10}};
  EXPECT_THROW(RowBlocks(segments, kMaxRows, kGranule).Get(1), Error);
}

}  // namespace
}  // namespace attention
