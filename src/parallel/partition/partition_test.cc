#include "src/parallel/partition/partition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "src/base/error.h"

namespace attention {
namespace {

TEST(PartitionTest, BalancedRangesCoverEverythingOnce) {
  for (int64_t total : {0, 1, 3, 5, 8, 37, 257}) {
    for (int64_t parts : {1, 2, 3, 4, 5, 8, 16}) {
      int64_t next = 0;
      for (int64_t index = 0; index < parts; ++index) {
        const IndexRange range = BalancedRange(total, parts, index);
        EXPECT_EQ(range.begin, next);
        EXPECT_TRUE(range.size() == total / parts || range.size() == total / parts + 1);
        next = range.end;
      }
      EXPECT_EQ(next, total);
    }
  }
}

TEST(PartitionTest, PiecesOfHeadsAreAlike) {
  using Pieces = std::vector<HeadShare>;
  EXPECT_EQ(CutHeads({{16, 32}, {4, 8}}, 4, 8),
            (Pieces{{{16, 20}, {4, 5}}, {{20, 24}, {5, 6}}, {{24, 28}, {6, 7}}, {{28, 32}, {7, 8}}}));
  EXPECT_EQ(CutHeads({{16, 32}, {4, 8}}, 4, 3), (Pieces{{{16, 24}, {4, 6}}, {{24, 32}, {6, 8}}}));
  EXPECT_EQ(CutHeads({{0, 3}, {0, 3}}, 1, 2), (Pieces{{{0, 3}, {0, 3}}}));
  EXPECT_EQ(CutHeads({{0, 3}, {0, 3}}, 1, 8).size(), 3u);
  EXPECT_EQ(CutHeads({{0, 16}, {0, 4}}, 4, 0).size(), 1u);
  // Begins or ends inside a group; empty.
  EXPECT_EQ(CutHeads({{2, 8}, {0, 2}}, 4, 8), (Pieces{{{2, 8}, {0, 2}}}));
  EXPECT_EQ(CutHeads({{0, 6}, {0, 2}}, 4, 8), (Pieces{{{0, 6}, {0, 2}}}));
  EXPECT_EQ(CutHeads({{8, 8}, {8, 8}}, 1, 8), (Pieces{{{8, 8}, {8, 8}}}));
}

TEST(PartitionTest, EveryQueryHeadFindsItsKvHeadOnItsRank) {
  const std::vector<std::pair<int64_t, int64_t>> models = {{4, 4}, {6, 2}, {5, 1}, {16, 8}, {16, 2}};
  for (const auto& [query_heads, kv_heads] : models) {
    for (int64_t parts : {1, 2, 3, 4, 5, 8, 20}) {
      int64_t next = 0;
      for (int64_t index = 0; index < parts; ++index) {
        const HeadShare share = ShareOfHeads(query_heads, kv_heads, parts, index);
        EXPECT_EQ(share.query.begin, next);
        next = share.query.end;
        for (int64_t head = share.query.begin; head < share.query.end; ++head) {
          const int64_t kv_head = head / (query_heads / kv_heads);
          EXPECT_TRUE(kv_head >= share.kv.begin && kv_head < share.kv.end);
        }
        // No KV head travels that nobody reads.
        if (share.query.size() == 0) {
          EXPECT_EQ(share.kv.size(), 0);
        } else {
          EXPECT_EQ(share.kv.begin, share.query.begin * kv_heads / query_heads);
          EXPECT_LE(share.kv.size(), share.query.size());
        }
      }
      EXPECT_EQ(next, query_heads);
    }
  }
}

TEST(PartitionTest, RanksShareKvHeadsWhenThereAreFew) {
  EXPECT_EQ(ShareOfHeads(16, 2, 4, 0), (HeadShare{{0, 4}, {0, 1}}));
  EXPECT_EQ(ShareOfHeads(16, 2, 4, 1), (HeadShare{{4, 8}, {0, 1}}));
  EXPECT_EQ(ShareOfHeads(16, 2, 4, 2), (HeadShare{{8, 12}, {1, 2}}));
  EXPECT_THROW(ShareOfHeads(5, 2, 1, 0), Error);
}

// The permutation that a sharding is: sharding and collecting gives every token back, in its place.
TEST(PartitionTest, TokensSurviveTheRoundTrip) {
  for (Sharding sharding : {Sharding::kContiguous, Sharding::kZigzag}) {
    for (int64_t tokens : {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 37, 130, 257}) {
      for (int64_t parts : {1, 2, 3, 4, 5, 8, 16}) {
        std::vector<int64_t> collected(static_cast<size_t>(tokens), -1);
        std::vector<TokenSegments> shares;
        for (int64_t index = 0; index < parts; ++index) {
          const TokenSegments share = ShareOfTokens(tokens, sharding, parts, index);
          EXPECT_LE(share.size(), sharding == Sharding::kZigzag ? 2u : 1u);
          int64_t local = 0;
          for (const TokenSegment& segment : share) {
            EXPECT_GT(segment.length, 0);
            EXPECT_EQ(segment.local_begin, local);
            for (int64_t i = 0; i < segment.length; ++i) {
              int64_t& place = collected[static_cast<size_t>(segment.global_begin + i)];
              EXPECT_EQ(place, -1) << "owned twice";
              place = segment.global_begin + i;
              EXPECT_EQ(LocalRow(share, segment.global_begin + i), local + i);
            }
            local += segment.length;
          }
          EXPECT_EQ(TokenCount(share), local);
          shares.push_back(share);
        }
        for (int64_t token = 0; token < tokens; ++token)
          EXPECT_EQ(collected[static_cast<size_t>(token)], token);
        EXPECT_EQ(JoinTokens(shares), AllTokens(tokens));
      }
    }
  }
}

TEST(PartitionTest, ZigzagBalancesCausalWork) {
  const int64_t tokens = 1024, parts = 8;
  for (int64_t index = 0; index < parts; ++index) {
    int64_t work = 0;
    for (const TokenSegment& segment : ShareOfTokens(tokens, Sharding::kZigzag, parts, index)) {
      for (int64_t i = 0; i < segment.length; ++i) work += segment.global_begin + i + 1;
    }
    EXPECT_EQ(work, tokens * (tokens + 1) / 2 / parts);
  }
}

// The groups of a 2-D grid: neighbouring ranks' zigzag shares join into two segments again.
TEST(PartitionTest, JoinedNeighboursStayFewSegments) {
  for (int64_t tokens : {16, 37, 257}) {
    for (int64_t group = 0; group < 4; ++group) {
      const TokenSegments joined = JoinTokens({ShareOfTokens(tokens, Sharding::kZigzag, 8, 2 * group),
                                               ShareOfTokens(tokens, Sharding::kZigzag, 8, 2 * group + 1)});
      EXPECT_LE(joined.size(), 2u);
    }
  }
}

TEST(PartitionTest, MissingTokenIsAnError) { EXPECT_THROW(LocalRow({{0, 4, 2}}, 6), Error); }

}  // namespace
}  // namespace attention
