#include "src/parallel/strategy/strategy.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace attention {
namespace {

TEST(StrategyTest, NamesAndParsersAgree) {
  for (const char* name : {"none", "allgather", "all_to_all", "ring", "merge", "mesh", "tree", "shared"}) {
    ASSERT_TRUE(ParseExchange(name).has_value());
    EXPECT_EQ(Name(*ParseExchange(name)), name);
  }
  EXPECT_EQ(ParseStrategy("headwise"), ParallelStrategy::kHeadwise);
  EXPECT_EQ(ParseSharding("zigzag"), Sharding::kZigzag);
  EXPECT_EQ(ParseSharding("balanced"), Sharding::kBalanced);
  EXPECT_EQ(ParseContract("token_sharded"), Contract::kTokenSharded);
  EXPECT_EQ(ParsePhase("decode"), Phase::kDecode);
  EXPECT_FALSE(ParseExchange("Ring").has_value());
}

TEST(StrategyTest, VariantNames) {
  Variant variant = {ParallelStrategy::kSequence,
                     Exchange::kRing,
                     Sharding::kZigzag,
                     AttentionAlgorithm::kOnlineSoftmax,
                     {},
                     {}};
  EXPECT_EQ(Name(variant), "sequence(ring,zigzag)+online_softmax");
  variant.grid = {2, 4};
  variant.tiles = {64, 0};
  EXPECT_EQ(Name(variant), "sequence(ring,zigzag,grid=2x4)+online_softmax[q=64,kv=auto]");
}

TEST(StrategyTest, DefaultsAreValidEverywhere) {
  for (Phase phase : {Phase::kPrefill, Phase::kDecode}) {
    for (ParallelStrategy strategy : {ParallelStrategy::kHeadwise, ParallelStrategy::kSequence}) {
      for (AttentionAlgorithm algorithm : kAllAlgorithms) {
        for (Contract contract : {Contract::kNative, Contract::kReplicated, Contract::kTokenSharded}) {
          // Decode shards no tokens, and only merging works over a token-sharded cache.
          if (phase == Phase::kDecode && contract == Contract::kTokenSharded) continue;
          if (phase == Phase::kDecode && strategy == ParallelStrategy::kSequence &&
              algorithm != AttentionAlgorithm::kOnlineSoftmax) {
            continue;
          }
          const Variant variant = {strategy,
                                   DefaultExchange(strategy, algorithm, contract, phase),
                                   DefaultSharding(strategy, phase, Mask::Causal()),
                                   algorithm,
                                   {},
                                   {}};
          EXPECT_EQ(WhyInvalid(variant, contract, phase), "") << Name(variant) << " " << Name(contract);
        }
      }
    }
  }
}

TEST(StrategyTest, TheMaskChoosesTheSharding) {
  const auto of = [](const Mask& mask, ParallelStrategy strategy = ParallelStrategy::kSequence,
                     Phase phase = Phase::kPrefill) { return DefaultSharding(strategy, phase, mask); };
  const Mask packed = Mask::Documents(std::vector<int64_t>{3, 4});
  EXPECT_EQ(of(Mask::Full()), Sharding::kContiguous);
  EXPECT_EQ(of(Mask::Window(4)), Sharding::kContiguous);
  EXPECT_EQ(of(Mask::Causal()), Sharding::kZigzag);
  EXPECT_EQ(of(packed), Sharding::kBalanced);
  EXPECT_EQ(of(packed, ParallelStrategy::kHeadwise), Sharding::kContiguous);
  EXPECT_EQ(of(packed, ParallelStrategy::kSequence, Phase::kDecode), Sharding::kContiguous);
}

TEST(StrategyTest, EveryCellOfTheClaimIsValidUnderEveryContract) {
  std::set<std::string> cells;
  for (const ValidCombination& valid : ValidCombinations(Phase::kPrefill)) {
    cells.insert(std::string(Name(valid.variant.strategy)) + "+" +
                 std::string(Name(valid.variant.algorithm)) + "/" + std::string(Name(valid.contract)));
  }
  EXPECT_EQ(cells.size(), 2u * 3u * 3u);
}

TEST(StrategyTest, RefusalsSayWhatIsValid) {
  const auto why = [](ParallelStrategy strategy, Exchange exchange, AttentionAlgorithm algorithm,
                      Contract contract, Phase phase) {
    return WhyInvalid({strategy, exchange, Sharding::kContiguous, algorithm, {}, {}}, contract, phase);
  };
  EXPECT_EQ(why(ParallelStrategy::kHeadwise, Exchange::kRing, AttentionAlgorithm::kStandard,
                Contract::kNative, Phase::kPrefill),
            "headwise(ring) does not exist in prefill; valid: headwise(none), headwise(allgather), "
            "headwise(shared), headwise(all_to_all)");
  EXPECT_EQ(
      why(ParallelStrategy::kSequence, Exchange::kRing, AttentionAlgorithm::kStandard, Contract::kNative,
          Phase::kPrefill),
      "sequence(ring) merges running softmax states, which only online_softmax has; valid with standard "
      "under contract native: headwise(none), headwise(allgather), headwise(shared), sequence(allgather)");
  EXPECT_EQ(
      why(ParallelStrategy::kSequence, Exchange::kRing, AttentionAlgorithm::kOnlineSoftmax,
          Contract::kReplicated, Phase::kPrefill),
      "sequence(ring) is not possible under contract replicated in prefill; valid contracts for it: native, "
      "token_sharded; valid under replicated: headwise(allgather), headwise(shared), sequence(allgather)");
  EXPECT_NE(why(ParallelStrategy::kSequence, Exchange::kMerge, AttentionAlgorithm::kOnlineSoftmax,
                Contract::kTokenSharded, Phase::kDecode),
            "");
  Variant zigzag = {ParallelStrategy::kHeadwise,
                    Exchange::kAllgather,
                    Sharding::kZigzag,
                    AttentionAlgorithm::kStandard,
                    {},
                    {}};
  EXPECT_NE(WhyInvalid(zigzag, Contract::kNative, Phase::kPrefill).find("valid sharding: contiguous"),
            std::string::npos);
  zigzag.sharding = Sharding::kBalanced;
  EXPECT_EQ(
      WhyInvalid(zigzag, Contract::kNative, Phase::kPrefill),
      "headwise(allgather) deals no tokens of a prefill to ranks, so balanced means nothing in prefill; "
      "valid sharding: contiguous");
  zigzag.exchange = Exchange::kShared;
  EXPECT_EQ(
      WhyInvalid(zigzag, Contract::kTokenSharded, Phase::kPrefill),
      "headwise(shared) takes tokens as they follow each other, not balanced; valid sharding: contiguous");
  Variant grid = {ParallelStrategy::kHeadwise,
                  Exchange::kAllgather,
                  Sharding::kContiguous,
                  AttentionAlgorithm::kStandard,
                  {},
                  {2, 2}};
  EXPECT_NE(WhyInvalid(grid, Contract::kNative, Phase::kPrefill).find("needs strategy sequence"),
            std::string::npos);
}

}  // namespace
}  // namespace attention
