// What each strategy can hide behind computing, it does, on two ranks.
#include <gtest/gtest.h>

#include "src/parallel/testing/overlap_test_case.h"

namespace attention {
namespace {

constexpr int64_t kTokens = 2 * kOverlapTokensPerRank;
constexpr int64_t kQueryHeads = kOverlapQueryHeads;
constexpr int64_t kKvHeads = kOverlapKvHeads;
constexpr int64_t kRowBytes = kOverlapRowBytes;
constexpr int64_t kStateRowBytes = (kOverlapHeadDim + 2) * 4;
constexpr ParallelStrategy kHeadwise = ParallelStrategy::kHeadwise, kSequence = ParallelStrategy::kSequence;
constexpr AttentionAlgorithm kOnline = AttentionAlgorithm::kOnlineSoftmax,
                             kStandard = AttentionAlgorithm::kStandard;
constexpr int64_t kOwnKeyValues = 2 * kKvHeads * (kTokens / 2) * kRowBytes;

// The first piece of heads attends to the rank's own keys alone; then the others' are there, and the rest
// attends to both.
TEST(OverlapTest, SequencePrefillHidesKeysAndValues) {
  for (Sharding sharding : {Sharding::kContiguous, Sharding::kZigzag}) {
    CheckOverlap(
        {kSequence, Exchange::kRing, sharding, kOnline, Contract::kTokenSharded, 3, 1, kOwnKeyValues, 0});
    CheckOverlap({kSequence, Exchange::kAllgather, sharding, kOnline, Contract::kTokenSharded, 3, 1,
                  kOwnKeyValues, 0});
  }
}

// An exact softmax needs all keys before it begins.
TEST(OverlapTest, ExactSoftmaxWaits) {
  CheckOverlap({kSequence, Exchange::kAllgather, Sharding::kContiguous, kStandard, Contract::kTokenSharded, 1,
                1, kOwnKeyValues, 0});
}

// The last partial state is ready when there is nothing left to compute.
TEST(OverlapTest, MergeHidesQueries) {
  const int64_t rows = kQueryHeads * (kTokens / 2);
  CheckOverlap({kSequence, Exchange::kMerge, Sharding::kContiguous, kOnline, Contract::kTokenSharded, 2, 2,
                rows * kRowBytes, rows * kStateRowBytes});
}

// A rank has four KV heads, so four pieces; the outputs of the last are left.
TEST(OverlapTest, HeadwiseHidesAllButOnePiecesOutputs) {
  for (AttentionAlgorithm algorithm : {kOnline, kStandard}) {
    for (Contract contract : {Contract::kNative, Contract::kReplicated}) {
      CheckOverlap({kHeadwise, Exchange::kAllgather, Sharding::kContiguous, algorithm, contract, 4, 4, 0,
                    kQueryHeads / 2 / 4 * kTokens * kRowBytes});
    }
  }
  // All eight KV heads, half of the rows.
  CheckOverlap({kSequence, Exchange::kAllgather, Sharding::kContiguous, kOnline, Contract::kReplicated, 8, 8,
                0, kQueryHeads / 8 * (kTokens / 2) * kRowBytes});
}

// Four pieces; before the first its own Q, K and V, and the next one's, which travel meanwhile.
TEST(OverlapTest, AllToAllHidesAllButOnePieceEitherWay) {
  const int64_t query_heads = kQueryHeads / 2 / 4, kv_heads = kKvHeads / 2 / 4, rows = kTokens / 2;
  for (AttentionAlgorithm algorithm : {kOnline, kStandard}) {
    for (Sharding sharding : {Sharding::kContiguous, Sharding::kZigzag}) {
      CheckOverlap({kHeadwise, Exchange::kAllToAll, sharding, algorithm, Contract::kTokenSharded, 4, 4,
                    2 * (query_heads + 2 * kv_heads) * rows * kRowBytes, query_heads * rows * kRowBytes});
    }
  }
}

}  // namespace
}  // namespace attention
