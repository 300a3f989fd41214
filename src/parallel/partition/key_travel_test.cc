#include "src/parallel/partition/key_travel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "src/base/error.h"
#include "src/parallel/partition/attention_plan.h"

namespace attention {
namespace {

SequenceLayout Layout(int64_t tokens, Sharding sharding, int ranks, int rank = 0,
                      const Mask& mask = Mask::Causal(), int64_t cached = 0) {
  AttentionProblem problem;
  problem.query_tokens = tokens;
  problem.kv_tokens = tokens + cached;
  problem.mask = mask;
  const Variant ring = {
      ParallelStrategy::kSequence, Exchange::kRing, sharding, AttentionAlgorithm::kOnlineSoftmax, {}, {}};
  return LayoutOf(AttentionPlan::Make(problem, ring, Contract::kNative, {}, ranks, rank));
}

std::set<int64_t> Positions(const TokenSegments& segments) {
  std::set<int64_t> positions;
  for (const TokenSegment& segment : segments) {
    for (int64_t i = 0; i < segment.length; ++i) positions.insert(segment.global_begin + i);
  }
  return positions;
}

std::vector<Mask> Masks() {
  std::vector<Mask> masks = {Mask::Full(), Mask::Causal()};
  for (int64_t window : {1, 3, 9, 100}) masks.push_back(Mask::Window(window));
  masks.push_back(Mask::Documents(std::vector<int64_t>{1, 1, 20, 3, 40}));
  return masks;
}

// A simulated ring: what a rank holds after each hop is what the rank before it sent on, and every key that a
// query sees has passed by.
void CheckRing(const Mask& mask, Sharding sharding, int ranks, int64_t tokens, int64_t cached) {
  SCOPED_TRACE(
      internal::Concatenate(Name(mask), " ", Name(sharding), " ", ranks, " ranks, ", cached, " cached"));
  const auto layout_of = [&](int rank) { return Layout(tokens, sharding, ranks, rank, mask, cached); };
  const KeyTravel ring = RingTravel(layout_of(0), mask);
  for (int rank = 0; rank < ranks; ++rank) {
    const SequenceLayout layout = layout_of(rank);
    const std::vector<RingHop> hops = RingHops(layout, mask);
    std::set<int64_t> passed = Positions(layout.own_keys());
    const std::vector<RingHop> before = RingHops(layout_of((rank + ranks - 1) % ranks), mask);
    const std::vector<RowRun> nothing;
    int64_t sent = 0;
    for (size_t i = 0; i < hops.size(); ++i) {
      const std::set<int64_t> arrived = Positions(hops[i].arriving);
      passed.insert(arrived.begin(), arrived.end());
      for (const RowRun& run : hops[i].leaving_runs) sent += run.tokens;
      EXPECT_EQ(i < before.size() ? before[i].leaving_runs : nothing, hops[i].arriving_runs);
    }
    for (size_t i = hops.size(); i < before.size(); ++i) EXPECT_TRUE(before[i].leaving_runs.empty());
    EXPECT_EQ(sent, ring.sent[static_cast<size_t>(rank)]);
    for (int64_t query : Positions(layout.own_queries())) {
      const KeyRange visible = mask.Visible(query);
      for (int64_t key = visible.begin; key < std::min(visible.end, tokens + cached); ++key) {
        EXPECT_TRUE(passed.contains(key)) << query << " " << key;
      }
    }
  }
}

TEST(KeyTravelTest, EveryKeyThatIsSeenPassesBy) {
  for (const Mask& mask : Masks()) {
    for (Sharding sharding : {Sharding::kContiguous, Sharding::kZigzag, Sharding::kBalanced}) {
      for (int ranks : {1, 2, 3, 5, 8, 70}) {
        CheckRing(mask, sharding, ranks, 65, 0);
        // As many tokens in all, so that documents fit.
        if (sharding != Sharding::kBalanced) CheckRing(mask, sharding, ranks, 35, 30);
      }
    }
  }
}

// One column is a gather; two rows see what the queries of a row see together.
TEST(KeyTravelTest, AMeshMovesKeysAlongColumns) {
  for (const Mask& mask : Masks()) {
    const SequenceLayout layout = Layout(65, Sharding::kZigzag, 6, 0, mask);
    const KeyTravel gather = GatherTravel(layout, mask, false), column = MeshTravel(layout, mask, {6, 1});
    EXPECT_EQ(column.sent, gather.sent) << Name(mask);
    EXPECT_EQ(column.held, gather.held) << Name(mask);
    EXPECT_EQ(MeshTravel(layout, mask, {1, 6}).sent, std::vector<int64_t>(6, 0));
    const KeyTravel mesh = MeshTravel(layout, mask, {2, 3});
    for (int rank = 0; rank < 6; ++rank) {
      const int other = (rank + 3) % 6, row = other / 3 * 3;
      std::set<int64_t> seen;
      for (int reader = row; reader < row + 3; ++reader) {
        for (int64_t query : Positions(layout.queries[static_cast<size_t>(reader)])) {
          const KeyRange visible = mask.Visible(query);
          for (int64_t key : Positions(layout.keys[static_cast<size_t>(rank)])) {
            if (visible.begin <= key && key < visible.end) seen.insert(key);
          }
        }
      }
      const std::set<int64_t> travels = Positions(KeysSeenByAny(layout, mask, rank, {row, row + 1, row + 2}));
      EXPECT_TRUE(std::ranges::includes(travels, seen)) << Name(mask) << " " << rank;
      EXPECT_EQ(mesh.sent[static_cast<size_t>(rank)], static_cast<int64_t>(travels.size())) << Name(mask);
      EXPECT_EQ(mesh.held[static_cast<size_t>(other)], mesh.sent[static_cast<size_t>(rank)]);
    }
  }
}

// Each key is one rank's, each query too; a rank has the keys of its queries, and what is cached is dealt
// alike.
TEST(KeyTravelTest, CachedKeysAreDealtToo) {
  const SequenceLayout layout = Layout(8, Sharding::kZigzag, 2, 0, Mask::Causal(), 5);
  EXPECT_EQ(layout.queries[0], (TokenSegments{{0, 5, 2}, {2, 11, 2}}));
  EXPECT_EQ(layout.queries[1], (TokenSegments{{0, 7, 4}}));
  // Of 5 cached tokens in 4 chunks the first has two.
  EXPECT_EQ(layout.keys[0], (TokenSegments{{0, 0, 2}, {2, 4, 3}, {5, 11, 2}}));
  EXPECT_EQ(layout.keys[1], (TokenSegments{{0, 2, 2}, {2, 7, 4}}));
}

TEST(KeyTravelTest, WithoutAMaskAllButTheRightNeighboursTravels) {
  for (int ranks : {2, 3, 8}) {
    const SequenceLayout layout = Layout(65, Sharding::kContiguous, ranks);
    const KeyTravel ring = RingTravel(layout, Mask::Full());
    const KeyTravel gather = GatherTravel(layout, Mask::Full(), true);
    for (int rank = 0; rank < ranks; ++rank) {
      EXPECT_EQ(ring.sent[static_cast<size_t>(rank)], 65 - layout.KeysOf((rank + 1) % ranks));
      EXPECT_EQ(gather.sent[static_cast<size_t>(rank)], layout.KeysOf(rank) * (ranks - 1));
      EXPECT_EQ(gather.held[static_cast<size_t>(rank)], 65);
    }
  }
}

// The halo: as many tokens as a window reaches back, whatever the number of ranks and the length.
TEST(KeyTravelTest, AWindowTakesAHaloOfItsLength) {
  for (int ranks : {2, 4, 16, 64}) {
    for (int64_t shard : {64, 1000}) {
      for (int64_t window : {1, 2, 33, 64, 65, 300}) {
        const SequenceLayout layout = Layout(shard * ranks, Sharding::kContiguous, ranks);
        const KeyTravel ring = RingTravel(layout, Mask::Window(window));
        const KeyTravel gather = GatherTravel(layout, Mask::Window(window), false);
        for (int rank = 0; rank < ranks; ++rank) {
          const auto at = static_cast<size_t>(rank);
          EXPECT_LE(ring.sent[at], window - 1) << ranks << " " << shard << " " << window;
          EXPECT_LE(gather.sent[at], window - 1 + (window - 1) / shard * (window - 1));
          EXPECT_LE(gather.held[at], window - 1);
        }
        EXPECT_EQ(ring.sent.front(), std::min(window - 1, shard));
      }
    }
  }
}

// 8 tokens, 2 ranks. Zigzag: rank 0 has 0, 1 and 6, 7; rank 1 has 2 to 5, of which 6 and 7 see all. Of rank
// 0's keys rank 1 sees the first two.
TEST(KeyTravelTest, CausalLeavesOutWhatIsLaterThanEveryQuery) {
  const KeyTravel zigzag = RingTravel(Layout(8, Sharding::kZigzag, 2), Mask::Causal());
  EXPECT_EQ(zigzag.sent, (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(zigzag.held, (std::vector<int64_t>{4, 2}));
  const KeyTravel contiguous = RingTravel(Layout(8, Sharding::kContiguous, 4), Mask::Causal());
  EXPECT_EQ(contiguous.sent, (std::vector<int64_t>{2, 4, 6, 0}));
  const KeyTravel gather = GatherTravel(Layout(8, Sharding::kContiguous, 4), Mask::Causal(), false);
  EXPECT_EQ(gather.sent, (std::vector<int64_t>{6, 4, 2, 0}));
  EXPECT_EQ(gather.held, (std::vector<int64_t>{0, 2, 4, 6}));
}

// What a ring's ranks send is what arrives at their right neighbours.
TEST(KeyTravelTest, ArrivalsAreWhatTheHopsBring) {
  for (const Mask& mask : {Mask::Full(), Mask::Causal(), Mask::Window(5)}) {
    for (int ranks : {1, 2, 3, 5}) {
      SequenceLayout layout = Layout(23, Sharding::kZigzag, ranks);
      const auto arrivals = RingArrivals(layout, mask);
      ASSERT_EQ(arrivals.size(), static_cast<size_t>(ranks - 1));
      for (layout.rank = 0; layout.rank < ranks; ++layout.rank) {
        const std::vector<RingHop> hops = RingHops(layout, mask);
        for (size_t hop = 0; hop < arrivals.size(); ++hop) {
          const int64_t tokens = hop < hops.size() ? TokenCount(hops[hop].arriving) : 0;
          EXPECT_EQ(arrivals[hop][static_cast<size_t>(layout.rank)], tokens) << Name(mask) << " " << ranks;
        }
      }
    }
  }
}

// As many neighbours as are on one node everywhere; of a grid's token groups, those with this rank's heads.
TEST(KeyTravelTest, NodesAreRunsOfNeighbours) {
  const auto groups_of_node = [](const std::vector<int>& nodes, Grid grid = {}) {
    AttentionProblem problem;
    problem.query_tokens = problem.kv_tokens = 8;
    Variant shared = {ParallelStrategy::kSequence,
                      Exchange::kShared,
                      Sharding::kContiguous,
                      AttentionAlgorithm::kOnlineSoftmax,
                      {},
                      grid};
    AttentionPlan plan =
        AttentionPlan::Make(problem, shared, Contract::kNative, {}, static_cast<int>(nodes.size()), 0);
    EXPECT_EQ(plan.parts_of_node, plan.token_parts);
    plan.SetNodes(nodes);
    return plan.parts_of_node;
  };
  EXPECT_EQ(groups_of_node({0}), 1);
  EXPECT_EQ(groups_of_node({0, 0, 0, 0}), 4);
  EXPECT_EQ(groups_of_node({5, 5, 2, 2}), 2);
  EXPECT_EQ(groups_of_node({0, 0, 0, 0, 1, 1}), 2);
  EXPECT_EQ(groups_of_node({0, 0, 0, 1, 1}), 1);
  EXPECT_EQ(groups_of_node({0, 1, 0, 1}), 1);
  EXPECT_EQ(groups_of_node({0, 1, 0, 1}, {2, 2}), 2);
  EXPECT_EQ(groups_of_node({0, 0, 1, 1}, {2, 2}), 1);
  EXPECT_EQ(groups_of_node({0, 0, 0, 0, 1, 1, 1, 1}, {2, 4}), 2);
}

// Without a mask a rank passes on the keys of its place of all nodes but the next; a node of one rank is the
// ring, and one node sends nothing.
TEST(KeyTravelTest, NodesPassOnWhatTheRingDoes) {
  for (const Mask& mask : Masks()) {
    const SequenceLayout layout = Layout(65, Sharding::kZigzag, 8, 0, mask);
    EXPECT_EQ(SharedTravel(layout, mask, 1).sent, RingTravel(layout, mask).sent);
    EXPECT_EQ(SharedTravel(layout, mask, 8).sent, std::vector<int64_t>(8, 0));
    EXPECT_EQ(SharedTravel(layout, mask, 8).held, std::vector<int64_t>(8, 0));
  }
  const KeyTravel full = SharedTravel(Layout(64, Sharding::kContiguous, 8), Mask::Full(), 2);
  EXPECT_EQ(full.sent, std::vector<int64_t>(8, 3 * 8));
  EXPECT_EQ(full.held, std::vector<int64_t>(8, 2 * 8));
  // Two nodes of two, causal: the first needs nothing of the second, and the second all of the first.
  const KeyTravel causal = SharedTravel(Layout(8, Sharding::kContiguous, 4), Mask::Causal(), 2);
  EXPECT_EQ(causal.sent, (std::vector<int64_t>{2, 2, 0, 0}));
  EXPECT_EQ(causal.held, (std::vector<int64_t>{0, 0, 2, 2}));
}

TEST(KeyTravelTest, DocumentsTravelOverBordersOnly) {
  // Documents of 4, 8 and 4 tokens on 4 ranks of 4: the second lies on ranks 1 and 2.
  const KeyTravel ring =
      RingTravel(Layout(16, Sharding::kContiguous, 4), Mask::Documents(std::vector<int64_t>{4, 8, 4}));
  EXPECT_EQ(ring.sent, (std::vector<int64_t>{0, 4, 0, 0}));
}

TEST(KeyTravelTest, RunsAreAsFewAsTheyCanBe) {
  const TokenSegments held = {{0, 10, 4}, {4, 30, 4}};
  EXPECT_EQ(RunsOf(held, {{0, 10, 4}, {4, 30, 4}}), (std::vector<RowRun>{{0, 0, 8}}));
  EXPECT_EQ(RunsOf(held, {{0, 10, 2}, {2, 31, 3}}), (std::vector<RowRun>{{0, 0, 2}, {5, 2, 3}}));
  EXPECT_EQ(RunsOf(held, {{0, 12, 2}, {2, 30, 1}}), (std::vector<RowRun>{{2, 0, 3}}));
  EXPECT_TRUE(RunsOf(held, {}).empty());
}

}  // namespace
}  // namespace attention
