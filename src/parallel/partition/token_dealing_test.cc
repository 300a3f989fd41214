#include "src/parallel/partition/token_dealing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "src/base/counter_random.h"
#include "src/base/error.h"
#include "src/parallel/partition/key_travel.h"

namespace attention {
namespace {

using Lengths = std::vector<int64_t>;
using Shares = std::vector<TokenSegments>;

int64_t Total(const Lengths& lengths) { return std::accumulate(lengths.begin(), lengths.end(), int64_t{0}); }

// `count` documents of `least` to `most` tokens.
Lengths RandomLengths(uint64_t seed, int64_t count, int64_t least, int64_t most) {
  Lengths lengths;
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t bits = RandomBits(seed, 0, static_cast<uint64_t>(i));
    lengths.push_back(least + static_cast<int64_t>(bits % static_cast<uint64_t>(most - least + 1)));
  }
  return lengths;
}

double PairsOf(const Mask& mask, int64_t tokens, const TokenSegments& share) {
  double pairs = 0;
  for (const TokenSegment& segment : share) {
    pairs += mask.VisiblePairs(segment.global_begin, segment.length, tokens);
  }
  return pairs;
}

// The fullest rank's over the mean.
struct Balance {
  double pairs, tokens;
};
Balance BalanceOf(const Mask& mask, int64_t tokens, const Shares& shares) {
  Balance most = {0, 0};
  for (const TokenSegments& share : shares) {
    most.pairs = std::max(most.pairs, PairsOf(mask, tokens, share));
    most.tokens = std::max(most.tokens, static_cast<double>(TokenCount(share)));
  }
  const auto ranks = static_cast<double>(shares.size());
  return {most.pairs * ranks / mask.VisiblePairs(0, tokens, tokens),
          most.tokens * ranks / static_cast<double>(tokens)};
}

size_t RunsIn(const Shares& shares) {
  size_t runs = 0;
  for (const TokenSegments& share : shares) runs += share.size();
  return runs;
}

// Documents that lie on more than one rank.
size_t CutDocuments(const Mask& mask, const Shares& shares) {
  std::vector<int64_t> begins;  // one of each document and rank
  for (const TokenSegments& share : shares) {
    std::vector<int64_t> own;
    for (const TokenSegment& segment : share) {
      const int64_t end = segment.global_begin + segment.length;
      for (int64_t position = segment.global_begin; position < end; position = mask.Document(position).end) {
        own.push_back(mask.Document(position).begin);
      }
    }
    own.erase(std::unique(own.begin(), own.end()), own.end());
    begins.insert(begins.end(), own.begin(), own.end());
  }
  std::ranges::sort(begins);
  size_t cut = 0;
  for (size_t i = 0; i < begins.size();) {
    size_t next = i;
    while (next < begins.size() && begins[next] == begins[i]) ++next;
    cut += next - i > 1;
    i = next;
  }
  return cut;
}

// Each token once, in ascending non-empty segments that do not touch; empty ranks last.
void ExpectDealt(const Shares& shares, int64_t tokens, int64_t ranks) {
  ASSERT_EQ(static_cast<int64_t>(shares.size()), ranks);
  for (size_t rank = 0; rank < shares.size(); ++rank) {
    int64_t local = 0, after = -1;
    for (const TokenSegment& segment : shares[rank]) {
      ASSERT_GT(segment.length, 0);
      ASSERT_EQ(segment.local_begin, local);
      ASSERT_GT(segment.global_begin, after);
      after = segment.global_begin + segment.length;
      local += segment.length;
    }
    if (rank == 0 || shares[rank].empty()) continue;
    ASSERT_FALSE(shares[rank - 1].empty());
    ASSERT_LT(shares[rank - 1].front().global_begin, shares[rank].front().global_begin);
  }
  ASSERT_EQ(JoinTokens(shares), AllTokens(tokens));
  int64_t dealt = 0;
  for (const TokenSegments& share : shares) dealt += TokenCount(share);
  ASSERT_EQ(dealt, tokens);
}

// The promise of token_dealing.h. The allowance is for whole rows, of which the longest sees `longest` keys.
void ExpectBalanced(const Mask& mask, const Shares& shares, int64_t tokens, int64_t longest) {
  const Balance balance = BalanceOf(mask, tokens, shares);
  const double ranks = static_cast<double>(shares.size());
  const double mean = mask.VisiblePairs(0, tokens, tokens) / ranks;
  const double rows = 3 * static_cast<double>(longest) / mean;
  EXPECT_LE(balance.pairs, std::max(kDealtBalance, 1.041 + rows));
  EXPECT_LE(balance.tokens, std::max(kDealtBalance, 1 + ranks / static_cast<double>(tokens)));
  EXPECT_LE(RunsIn(shares), std::max<size_t>(64, 2 * shares.size() - 1));
}

TEST(TokenDealingTest, SixtyFourDocumentsOnEightRanks) {
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const Lengths lengths = RandomLengths(seed, 64, 1, 16384);
    const Mask mask = Mask::Documents(lengths);
    const Shares shares = DealBalanced(mask, Total(lengths), 8);
    ASSERT_NO_FATAL_FAILURE(ExpectDealt(shares, Total(lengths), 8));
    const Balance balance = BalanceOf(mask, Total(lengths), shares);
    ASSERT_LE(balance.pairs, 1.05) << "seed " << seed;
    ASSERT_LE(balance.tokens, 1.05) << "seed " << seed;
    ASSERT_LE(CutDocuments(mask, shares), 14u) << "seed " << seed;
  }
}

// More documents are never dealt whole; few long ones among many short ones cannot be.
TEST(TokenDealingTest, ManyDocumentsOnEightRanks) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Lengths lengths = RandomLengths(seed, 100, 1, 16384);
    if (seed % 2 == 1) {
      for (int64_t& length : lengths) length = 1 + length * length / 16384 * length / 16384;
    }
    const Mask mask = Mask::Documents(lengths);
    const Shares shares = DealBalanced(mask, Total(lengths), 8);
    ASSERT_NO_FATAL_FAILURE(ExpectDealt(shares, Total(lengths), 8));
    ASSERT_LE(BalanceOf(mask, Total(lengths), shares).pairs, 1.05) << "seed " << seed;
    ASSERT_LE(CutDocuments(mask, shares), 14u) << "seed " << seed;
    for (const TokenSegments& share : shares) {
      ASSERT_GE(TokenCount(share), Total(lengths) / 8);
      ASSERT_LE(TokenCount(share), Total(lengths) / 8 + 1);
    }
  }
}

TEST(TokenDealingTest, EveryMaskAndNumberOfRanks) {
  const std::vector<Lengths> packed = {
      {4096, 1024, 1024, 1024, 1024}, {5000, 1, 1, 1, 3000}, RandomLengths(1, 400, 1, 40),
      RandomLengths(2, 9, 500, 2000), Lengths(5000, 1),      {8192}};
  const auto check = [](const Mask& mask, int64_t tokens, int64_t longest) {
    for (int64_t ranks : {1, 2, 3, 4, 5, 6, 7, 8, 31}) {
      SCOPED_TRACE(std::to_string(ranks) + " ranks, " + Name(mask).substr(0, 60));
      const Shares shares = DealBalanced(mask, tokens, ranks);
      ASSERT_NO_FATAL_FAILURE(ExpectDealt(shares, tokens, ranks));
      ExpectBalanced(mask, shares, tokens, longest);
      EXPECT_EQ(shares, DealTokens(mask, tokens, Sharding::kBalanced, ranks));
    }
  };
  for (const Lengths& lengths : packed) {
    check(Mask::Documents(lengths), Total(lengths), std::ranges::max(lengths));
  }
  for (int64_t tokens : {6000, 6007}) {
    check(Mask::Full(), tokens, tokens);
    check(Mask::Causal(), tokens, tokens);
    for (int64_t window : {1, 17, 1000, 5999}) check(Mask::Window(window), tokens, window);
  }
}

// So little that balance means nothing: still each token once, and no rank has two more than another.
TEST(TokenDealingTest, FewTokens) {
  for (int64_t tokens = 0; tokens <= 40; ++tokens) {
    std::vector<Mask> masks = {Mask::Full(), Mask::Causal(), Mask::Window(3)};
    if (tokens > 0) masks.push_back(Mask::Documents(Lengths(static_cast<size_t>(tokens), 1)));
    if (tokens > 2) masks.push_back(Mask::Documents(Lengths{1, tokens - 2, 1}));
    for (const Mask& mask : masks) {
      for (int64_t ranks : {1, 2, 3, 5, 8, 64}) {
        SCOPED_TRACE(std::to_string(tokens) + " tokens, " + std::to_string(ranks) + " ranks, " + Name(mask));
        const Shares shares = DealBalanced(mask, tokens, ranks);
        ASSERT_NO_FATAL_FAILURE(ExpectDealt(shares, tokens, ranks));
        for (const TokenSegments& share : shares) {
          EXPECT_GE(TokenCount(share), tokens / ranks);
          EXPECT_LE(TokenCount(share), (tokens + ranks - 1) / ranks);
        }
      }
    }
  }
}

TEST(TokenDealingTest, CausalIsZigzagAndOneDocumentIsCausal) {
  for (int64_t ranks : {1, 2, 3, 4, 5, 6, 7, 8}) {
    const int64_t tokens = 2 * 840 * ranks;
    const Shares causal = DealBalanced(Mask::Causal(), tokens, ranks);
    EXPECT_EQ(causal, DealTokens(Mask::Causal(), tokens, Sharding::kZigzag, ranks)) << ranks;
    EXPECT_EQ(causal, DealBalanced(Mask::Documents(Lengths{tokens}), tokens, ranks)) << ranks;
  }
  // Where zigzag's chunks are not equal, it is no better.
  for (int64_t ranks : {2, 3, 5, 8}) {
    for (int64_t tokens : {257, 1001, 4099}) {
      const Mask mask = Mask::Documents(Lengths{tokens});
      const Shares zigzag = DealTokens(mask, tokens, Sharding::kZigzag, ranks);
      const double allowed = 3 * static_cast<double>(tokens * ranks) / mask.VisiblePairs(0, tokens, tokens);
      EXPECT_LE(BalanceOf(mask, tokens, DealBalanced(mask, tokens, ranks)).pairs,
                std::max(BalanceOf(mask, tokens, zigzag).pairs, 1 + allowed));
    }
  }
}

TEST(TokenDealingTest, FullIsContiguous) {
  for (int64_t ranks : {1, 2, 3, 4, 5, 8}) {
    const int64_t tokens = 60 * ranks;
    EXPECT_EQ(DealBalanced(Mask::Full(), tokens, ranks),
              DealTokens(Mask::Full(), tokens, Sharding::kContiguous, ranks));
    EXPECT_EQ(DealBalanced(Mask::Window(1), tokens, ranks),
              DealTokens(Mask::Full(), tokens, Sharding::kContiguous, ranks));
  }
}

// Whole documents, and nothing to send, where that keeps the balance.
TEST(TokenDealingTest, WholeDocumentsStayAtHome) {
  const auto sent = [](const Lengths& lengths, int64_t ranks, Sharding sharding) {
    const Mask mask = Mask::Documents(lengths);
    const std::vector<TokenSegments> dealt = DealTokens(mask, Total(lengths), sharding, ranks);
    const SequenceLayout layout = {{}, dealt, dealt, 0};
    return std::ranges::max(RingTravel(layout, mask).sent);
  };
  // Two long ones, and four that make up for one each.
  const Lengths pairs = {1000, 707, 500, 500, 500, 500, 707, 1000};
  EXPECT_EQ(sent(pairs, 2, Sharding::kBalanced), 0);
  EXPECT_EQ(sent(Lengths(8, 777), 8, Sharding::kBalanced), 0);
  EXPECT_EQ(sent(Lengths(7, 777), 7, Sharding::kBalanced), 0);
  // So many that ranks have runs of them, cut where documents meet.
  EXPECT_EQ(sent(Lengths(4096, 8), 8, Sharding::kBalanced), 0);
  EXPECT_GT(sent(pairs, 2, Sharding::kZigzag), 0);
  // Most of 1000 batches of 64 have no document on two ranks.
  int whole = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const Lengths lengths = RandomLengths(seed, 64, 1, 16384);
    const Mask mask = Mask::Documents(lengths);
    whole += CutDocuments(mask, DealBalanced(mask, Total(lengths), 8)) == 0;
  }
  EXPECT_GE(whole, 900);
}

// The worked example of docs/design.md.
TEST(TokenDealingTest, TheWorkedExample) {
  const Mask mask = Mask::Documents(Lengths{2, 8, 2});
  const Shares shares = DealBalanced(mask, 12, 2);
  EXPECT_EQ(shares, (Shares{{{0, 0, 2}, {2, 8, 4}}, {{0, 2, 6}}}));
  EXPECT_EQ(RingTravel({{}, shares, shares, 0}, mask).sent, (std::vector<int64_t>{0, 6}));
  const auto pairs = [&](Sharding sharding) {
    const Shares dealt = DealTokens(mask, 12, sharding, 2);
    return std::vector<double>{PairsOf(mask, 12, dealt[0]), PairsOf(mask, 12, dealt[1])};
  };
  EXPECT_EQ(pairs(Sharding::kContiguous), (std::vector<double>{13, 29}));
  EXPECT_EQ(pairs(Sharding::kZigzag), (std::vector<double>{15, 27}));
  EXPECT_EQ(pairs(Sharding::kBalanced), (std::vector<double>{21, 21}));
}

TEST(TokenDealingTest, ManyDocumentsAndManyRanks) {
  const Lengths lengths = RandomLengths(3, 200000, 1, 30);
  const Mask mask = Mask::Documents(lengths);
  for (int64_t ranks : {8, 1000, 16384}) {
    const Shares shares = DealBalanced(mask, Total(lengths), ranks);
    ASSERT_NO_FATAL_FAILURE(ExpectDealt(shares, Total(lengths), ranks));
    ExpectBalanced(mask, shares, Total(lengths), 30);
    EXPECT_LE(CutDocuments(mask, shares), static_cast<size_t>(2 * ranks - 2));
  }
}

TEST(TokenDealingTest, NeverWithoutAMaskOrRanks) {
  EXPECT_THROW(ShareOfTokens(8, Sharding::kBalanced, 2, 0), Error);
  EXPECT_THROW(DealBalanced(Mask::Causal(), 8, 0), Error);
  EXPECT_THROW(DealBalanced(Mask::Causal(), -1, 2), Error);
}

}  // namespace
}  // namespace attention
