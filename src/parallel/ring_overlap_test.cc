// A ring of three: its first step, too, hides the keys and values on their way; two ranks have none before
// the last two, which are one pass (overlap_test).
#include <gtest/gtest.h>

#include "src/parallel/testing/overlap_test_case.h"

namespace attention {
namespace {

TEST(RingOverlapTest, HidesKeysAndValuesOfEveryStep) {
  for (Sharding sharding : {Sharding::kContiguous, Sharding::kZigzag}) {
    CheckOverlap({ParallelStrategy::kSequence, Exchange::kRing, sharding, AttentionAlgorithm::kOnlineSoftmax,
                  Contract::kTokenSharded, 4, 2,
                  2 * kOverlapKvHeads * kOverlapTokensPerRank * kOverlapRowBytes, 0});
  }
}

}  // namespace
}  // namespace attention
