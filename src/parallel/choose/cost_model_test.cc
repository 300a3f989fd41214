// Predictions on planted rates, against what can be said without the model.
#include "src/parallel/choose/cost_model.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "src/base/error.h"
#include "src/parallel/choose/choose.h"
#include "src/parallel/partition/communication.h"

namespace attention {
namespace {

constexpr AttentionAlgorithm kOnline = AttentionAlgorithm::kOnlineSoftmax;
constexpr ParallelStrategy kHeadwise = ParallelStrategy::kHeadwise, kSequence = ParallelStrategy::kSequence;
constexpr Sharding kContiguous = Sharding::kContiguous, kZigzag = Sharding::kZigzag;

AttentionProblem Prefill(int64_t tokens, const Mask& mask, int64_t heads = 16, int64_t kv_heads = 8) {
  AttentionProblem problem;
  problem.query_heads = heads;
  problem.kv_heads = kv_heads;
  problem.head_dim = 128;
  problem.query_tokens = problem.kv_tokens = tokens;
  problem.mask = mask;
  return problem;
}

AttentionProblem Decode(int64_t tokens, int64_t heads = 16, int64_t kv_heads = 8) {
  AttentionProblem problem = Prefill(tokens, Mask::Causal(), heads, kv_heads);
  problem.query_tokens = 1;
  problem.phase = Phase::kDecode;
  return problem;
}

// Nothing takes time but pairs and bytes, which hide altogether.
Machine Planted(int ranks, double pairs_per_second, double bytes_per_second) {
  Machine machine;
  machine.node_of_rank.assign(static_cast<size_t>(ranks), 0);
  machine.rates.within_node = {0, bytes_per_second, 0};
  machine.rates.across_nodes = machine.rates.within_node;
  for (AttentionAlgorithm algorithm : kAllAlgorithms) {
    machine.rates.kernels.push_back({algorithm, 1000, 1000, 1, 1, pairs_per_second});
  }
  machine.rates.memory_bytes_per_second = 1e30;
  return machine;
}

double Seconds(const AttentionProblem& problem, const Variant& variant, Contract contract,
               const Machine& machine) {
  return Predict(problem, variant, contract, machine).seconds;
}

TEST(CostModelTest, BytesAreTheFormulas) {
  for (int ranks : {1, 2, 3, 5, 8}) {
    for (const AttentionProblem& problem : {Prefill(96, Mask::Full()), Prefill(37, Mask::Causal(), 6, 3),
                                            Prefill(64, Mask::Window(9)), Decode(64)}) {
      const Phase phase = problem.is_decode() ? Phase::kDecode : Phase::kPrefill;
      for (const ValidCombination& valid : ValidCombinations(phase)) {
        SCOPED_TRACE(Name(valid.variant) + " " + std::string(Name(valid.contract)));
        const Prediction prediction =
            Predict(problem, valid.variant, valid.contract, Planted(ranks, 1e9, 1.0));
        const AttentionPlan plan = AttentionPlan::Make(problem, valid.variant, valid.contract, {}, ranks, 0);
        EXPECT_EQ(prediction.bytes, MostBytesSent(plan));
        int64_t most = 0;
        for (int rank = 0; rank < ranks; ++rank) {
          most = std::max(
              most, BytesSent(AttentionPlan::Make(problem, valid.variant, valid.contract, {}, ranks, rank)));
        }
        // At a byte a second, time is bytes: no rank takes less than it sends. Where all send alike, they
        // receive as much. A merging rank waits for what it sends and for what it is sent, in the same
        // seconds.
        EXPECT_GE(prediction.exchange_s, static_cast<double>(most));
        const bool is_even = problem.mask == Mask::Full() && 96 % (2 * ranks) == 0 && 8 % ranks == 0;
        if (is_even) {
          EXPECT_EQ(prediction.exchange_s, static_cast<double>(most));
          EXPECT_EQ(prediction.bytes, most);
        }
      }
    }
  }
}

// All pairs of a prefill, once, whatever the variant.
TEST(CostModelTest, OneRankComputesEverything) {
  const AttentionProblem problem = Prefill(50, Mask::Causal());
  const double pairs = 16 * 50 * 51 / 2;
  for (const ValidCombination& valid : ValidCombinations(Phase::kPrefill)) {
    EXPECT_DOUBLE_EQ(Seconds(problem, valid.variant, valid.contract, Planted(1, 10, 1)), pairs / 10)
        << Name(valid.variant);
  }
}

// Two ranks, full mask: own keys and the others' are `pairs` each, and x seconds of keys come from the left.
TEST(CostModelTest, AHopTakesTheLongerOfComputingAndExchange) {
  const AttentionProblem problem = Prefill(8, Mask::Full(), 1, 1);
  const double pairs = 4 * 4, bytes = 2 * 4 * 128 * 4;
  for (Exchange exchange : {Exchange::kRing, Exchange::kAllgather}) {
    const Variant variant = {kSequence, exchange, kContiguous, kOnline, {}, {}};
    const auto seconds = [&](double compute, double transfer, double unhidden) {
      Machine machine = Planted(2, pairs / compute, bytes / transfer);
      machine.rates.within_node.unhidden = unhidden;
      return Seconds(problem, variant, Contract::kTokenSharded, machine);
    };
    EXPECT_DOUBLE_EQ(seconds(1, 3, 0), 3 + 1);
    EXPECT_DOUBLE_EQ(seconds(1, 0.5, 0), 1 + 1);
    EXPECT_DOUBLE_EQ(seconds(1, 0.5, 1), 1.5 + 1);
    EXPECT_DOUBLE_EQ(seconds(1, 3, 1), 4 + 1);
  }
  // An exact softmax waits for all keys.
  const Variant exact = {kSequence, Exchange::kAllgather, kContiguous, AttentionAlgorithm::kStandard, {}, {}};
  EXPECT_DOUBLE_EQ(Seconds(problem, exact, Contract::kTokenSharded, Planted(2, pairs, bytes / 0.5)), 0.5 + 2);
}

// A piece has a megabyte: below, all of either way is exposed; eight pieces expose an eighth of each.
TEST(CostModelTest, AnAllToAllExposesItsFirstAndLastPiece) {
  const Variant variant = {kHeadwise, Exchange::kAllToAll, kContiguous, kOnline, {}, {}};
  const auto exposed = [&](const AttentionProblem& problem) {
    Machine machine = Planted(2, 1e6, 1e12);
    const Prediction prediction = Predict(problem, variant, Contract::kTokenSharded, machine);
    return (prediction.seconds - prediction.compute_s) / prediction.exchange_s;
  };
  EXPECT_NEAR(exposed(Prefill(64, Mask::Full())), 1, 1e-3);
  EXPECT_NEAR(exposed(Prefill(8192, Mask::Full(), 16, 16)), 1.0 / 8, 1e-3);
}

TEST(CostModelTest, DecodeIsComputingThenPartialStates) {
  const AttentionProblem problem = Decode(300, 4, 2);
  Machine machine = Planted(3, 1000, 1e4);
  machine.rates.within_node.latency_s = 7;
  machine.rates.memory_bytes_per_second = 1e3;
  const double state = 4 * (128 + 2) * 4;
  const Variant merge = {kSequence, Exchange::kMerge, kContiguous, kOnline, {}, {}};
  EXPECT_DOUBLE_EQ(Seconds(problem, merge, Contract::kNative, machine),
                   4 * 100 / 1e3 + 2 * (7 + state / 1e4) + 2 * state / 1e3);
}

TEST(CostModelTest, ContiguousCausalRingWaitsForItsLastRank) {
  const AttentionProblem problem = Prefill(1 << 10, Mask::Causal());
  const Machine machine = Planted(4, 1e9, 1e15);
  const auto of = [&](Sharding sharding) {
    return Seconds(problem, {kSequence, Exchange::kRing, sharding, kOnline, {}, {}}, Contract::kTokenSharded,
                   machine);
  };
  // The last of four ranks has 7/16 of the work.
  EXPECT_NEAR(of(kContiguous) / of(kZigzag), 4 * 7.0 / 16, 0.01);
}

TEST(CostModelTest, OnASlowLinkTheLeastBytesWin) {
  for (Contract contract : {Contract::kNative, Contract::kTokenSharded, Contract::kReplicated}) {
    for (const Mask& mask : {Mask::Full(), Mask::Causal(), Mask::Window(32)}) {
      const std::vector<Prediction> ranking =
          RankVariants(Prefill(512, mask), kOnline, contract, Planted(4, 1e15, 1e3));
      for (const Prediction& other : ranking) EXPECT_LE(ranking.front().bytes, other.bytes) << Name(mask);
    }
  }
}

// Everybody computes as much: 1/P of the pairs, up to the diagonal.
TEST(CostModelTest, OnAFastLinkBalancedComputingWins) {
  const AttentionProblem problem = Prefill(1024, Mask::Causal());
  for (Contract contract : {Contract::kNative, Contract::kTokenSharded}) {
    const std::vector<Prediction> ranking = RankVariants(problem, kOnline, contract, Planted(4, 1e6, 1e15));
    const double share = 16 * 1024 * 1025.0 / 2 / 4 / 1e6;
    EXPECT_NEAR(ranking.front().seconds, share, 1e-3 * share);
    EXPECT_NE(ranking.back().variant.sharding, kZigzag);
  }
}

TEST(CostModelTest, WhereHeadsRunOutSequenceWins) {
  for (const AttentionProblem& problem : {Prefill(1024, Mask::Causal(), 2, 1), Decode(4096, 2, 1)}) {
    const std::vector<Prediction> ranking =
        RankVariants(problem, kOnline, Contract::kNative, Planted(8, 1e6, 1e12));
    EXPECT_EQ(ranking.front().variant.strategy, kSequence);
    EXPECT_EQ(ranking.back().variant.strategy, kHeadwise);
  }
}

// Four ranks on two nodes, with nothing to wait for but what crosses between them, a byte a second.
Machine TwoNodesOfTwo(double pairs_per_second) {
  Machine machine = Planted(4, pairs_per_second, 1e15);
  machine.node_of_rank = {7, 7, 3, 3};
  machine.rates.across_nodes.bytes_per_second = 1;
  return machine;
}

// One rank of a node sends to the other node around a ring, both in an all-to-all.
TEST(CostModelTest, RanksOfANodeShareItsLink) {
  const AttentionProblem problem = Prefill(16, Mask::Full(), 4, 4);
  Machine machine = TwoNodesOfTwo(1e15);
  const double shard = 2 * 4 * 4 * 128 * 4;  // K and V of four tokens
  const auto exchange_s = [&](Exchange exchange) {
    return Predict(problem, {kSequence, exchange, kContiguous, kOnline, {}, {}}, Contract::kTokenSharded,
                   machine)
        .exchange_s;
  };
  EXPECT_NEAR(exchange_s(Exchange::kRing), 3 * shard, 1e-6 * shard);
  EXPECT_NEAR(exchange_s(Exchange::kAllgather), 2 * 2 * shard, 1e-6 * shard);
}

// The same machine: each rank sends its shard across once, both of a node at once, and nothing moves within.
TEST(CostModelTest, SharedMemorySendsBetweenNodesOnly) {
  const AttentionProblem problem = Prefill(16, Mask::Full(), 4, 4);
  const Variant shared = {kSequence, Exchange::kShared, kContiguous, kOnline, {}, {}};
  Machine machine = TwoNodesOfTwo(1e3);
  machine.rates.across_nodes.bytes_per_second = 1e30;
  const double pairs = 4 * 4 * 16;  // of four query rows, four heads
  EXPECT_NEAR(Seconds(problem, shared, Contract::kTokenSharded, machine), pairs / 1e3, 1e-9);
  machine.rates.across_nodes.bytes_per_second = 1;
  const double shard = 2 * 4 * 4 * 128 * 4;  // K and V of four tokens
  const Prediction prediction = Predict(problem, shared, Contract::kTokenSharded, machine);
  EXPECT_NEAR(prediction.exchange_s, 2 * shard, 1e-6 * shard);
  EXPECT_EQ(prediction.bytes, static_cast<int64_t>(shard));
  // Hidden behind the keys of the own node, and then those of the other.
  EXPECT_NEAR(prediction.seconds, 2 * shard + pairs / 2 / 1e3, 1e-6 * shard);
  machine.node_of_rank = {0, 0, 0, 0};
  EXPECT_EQ(Predict(problem, shared, Contract::kTokenSharded, machine).bytes, 0);
}

// Head-wise on the same machine: each rank brings its head of the other node's eight tokens here, and takes
// their outputs back; both of a node at once. On one node nothing moves.
TEST(CostModelTest, SharedHeadsTravelBetweenNodesOnly) {
  const AttentionProblem problem = Prefill(16, Mask::Full(), 4, 4);
  const Variant shared = {kHeadwise, Exchange::kShared, kContiguous, kOnline, {}, {}};
  Machine machine = TwoNodesOfTwo(1e15);
  const double row = 8 * 128 * 4;  // of eight tokens: Q, or K, or V, or the output of a head
  const Prediction prediction = Predict(problem, shared, Contract::kTokenSharded, machine);
  EXPECT_EQ(prediction.bytes, static_cast<int64_t>(4 * row));
  EXPECT_NEAR(prediction.exchange_s, 2 * 4 * row, 1e-6 * row);
  machine.node_of_rank = {0, 0, 0, 0};
  const Prediction alone = Predict(problem, shared, Contract::kTokenSharded, machine);
  EXPECT_EQ(alone.bytes, 0);
  EXPECT_LT(alone.exchange_s, 1e-3);
}

TEST(CostModelTest, WhatDoesNotFitIntoSharedMemoryIsNoCandidate) {
  const AttentionProblem problem = Prefill(64, Mask::Full(), 4, 2);
  const int64_t output = 64 * 4 * 128 * 4, keys = output;  // two KV heads, K and V
  const auto needed = [&](ParallelStrategy strategy, Contract contract) {
    int64_t room = 1;
    const Variant variant = {strategy, Exchange::kShared, kContiguous, kOnline, {}, {}};
    while (!FitsSharedMemory(problem, variant, contract, room)) room += 1024;
    return static_cast<double>(room) * 7 / 8;
  };
  EXPECT_NEAR(needed(kHeadwise, Contract::kNative), output, 2048);
  EXPECT_NEAR(needed(kHeadwise, Contract::kTokenSharded), 2 * output + keys, 2048);
  EXPECT_NEAR(needed(kSequence, Contract::kTokenSharded), 3 * keys, 2048);
  EXPECT_TRUE(FitsSharedMemory(problem, {kSequence, Exchange::kRing, kContiguous, kOnline, {}, {}},
                               Contract::kTokenSharded, 0));
}

TEST(CostModelTest, AStepTakesTheRateOfTheShapeMostLikeItsOwn) {
  Machine machine = Planted(1, 1, 1);
  machine.rates.kernels = {
      {kOnline, 4096, 4096, 1, 2, 1e3}, {kOnline, 64, 64, 0.5, 2, 1e1}, {kOnline, 64, 64, 1, 2, 1e2}};
  const Variant variant = Candidates(kOnline, Contract::kNative, Phase::kPrefill).front();
  const auto seconds = [&](const AttentionProblem& problem) {
    return Seconds(problem, variant, Contract::kNative, machine);
  };
  EXPECT_DOUBLE_EQ(seconds(Prefill(4096, Mask::Full())), 16.0 * 4096 * 4096 / 1e3);
  EXPECT_DOUBLE_EQ(seconds(Prefill(64, Mask::Full())), 16.0 * 64 * 64 / 1e2);
  EXPECT_DOUBLE_EQ(seconds(Prefill(64, Mask::Causal())), 16.0 * 64 * 65 / 2 / 1e1);
}

TEST(CostModelTest, AGridIsPricedAsItIsRun) {
  const AttentionProblem problem = Prefill(96, Mask::Full());
  const Variant grid = {kSequence, Exchange::kRing, kContiguous, kOnline, {}, {2, 2}};
  const Prediction prediction = Predict(problem, grid, Contract::kTokenSharded, Planted(4, 1e9, 1));
  EXPECT_EQ(prediction.exchange_s, static_cast<double>(prediction.bytes));
}

TEST(ChooseTest, ValidVariantsOnlyAndAllOfThem) {
  for (Phase phase : {Phase::kPrefill, Phase::kDecode}) {
    for (const Word<Contract>& contract : kContracts) {
      size_t expected = 0;
      for (const ValidCombination& valid : ValidCombinations(phase)) {
        expected += valid.contract == contract.value && valid.variant.algorithm == kOnline &&
                    !LeavesHeads(valid.variant, phase);
      }
      if (expected == 0) {
        EXPECT_THROW(Candidates(kOnline, contract.value, phase), Error);
        continue;
      }
      const AttentionProblem problem = phase == Phase::kDecode ? Decode(64) : Prefill(64, Mask::Causal());
      const std::vector<Prediction> ranking =
          RankVariants(problem, kOnline, contract.value, Planted(3, 1e6, 1e6));
      EXPECT_EQ(ranking.size(), expected);
      for (size_t i = 0; i < ranking.size(); ++i) {
        EXPECT_EQ(WhyInvalid(ranking[i].variant, contract.value, phase), "");
        EXPECT_NE(ranking[i].variant.exchange, Exchange::kNone);
        if (i > 0) {
          EXPECT_LE(ranking[i - 1].seconds, ranking[i].seconds);
        }
      }
    }
  }
}

TEST(ChooseTest, InvalidCombinationsGetTheTablesOwnMessage) {
  const Variant variant = {kSequence, Exchange::kRing, kContiguous, AttentionAlgorithm::kStandard, {}, {}};
  const std::string why = WhyInvalid(variant, Contract::kNative, Phase::kPrefill);
  ASSERT_NE(why, "");
  try {
    Predict(Prefill(8, Mask::Full()), variant, Contract::kNative, Planted(2, 1, 1));
    FAIL() << "was priced";
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), why);
  }
  // No variant at all: tokens of a decode cannot be sharded.
  try {
    Candidates(AttentionAlgorithm::kStandard, Contract::kTokenSharded, Phase::kDecode);
    FAIL() << "there are candidates";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("valid"), std::string::npos) << error.what();
  }
  EXPECT_THROW(Predict(Prefill(8, Mask::Full()), variant, Contract::kNative, Planted(1025, 1, 1)), Error);
}

// Every step of every candidate has a measured shape that is like it.
TEST(ChooseTest, ProbedStepsCoverTheCandidates) {
  for (const AttentionProblem& problem :
       {Prefill(1000, Mask::Causal()), Prefill(777, Mask::Window(100)), Decode(1000)}) {
    const std::vector<int> nodes(3, 0);
    const std::vector<KernelStep> steps = StepsToProbe(problem, kOnline, Contract::kNative, nodes, 1);
    ASSERT_FALSE(steps.empty());
    EXPECT_LE(steps.size(), 16u);
    for (const Variant& variant :
         Candidates(kOnline, Contract::kNative, problem.is_decode() ? Phase::kDecode : Phase::kPrefill)) {
      ForEachStep(problem, variant, Contract::kNative, nodes, 1, [&](const KernelStep& step) {
        double least = 1e9;
        for (const KernelStep& probed : steps) {
          least = std::min(least, Unlikeness({kOnline, probed.rows(), probed.key_count(), probed.density(),
                                              probed.heads_per_kv_head(), 1},
                                             step));
        }
        EXPECT_LT(least, 0.34) << Name(variant);
      });
    }
  }
}

}  // namespace
}  // namespace attention
