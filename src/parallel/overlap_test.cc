// What each strategy can hide behind computing, it does, on two ranks: messages are handed to MPI before the
// kernel is called, and polled to their end while it computes.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "src/parallel/distributed_attention.h"
#include "src/parallel/tensor_buffer.h"

namespace attention {
namespace {

// Blocks of each exchange are at least 64 KiB: more than MPI sends without the receiver's help.
constexpr int64_t kTokens = 1024;
constexpr int64_t kQueryHeads = 16;
constexpr int64_t kKvHeads = 8;
constexpr int64_t kHeadDim = 32;
constexpr int64_t kRowBytes = kHeadDim * 4;
constexpr int64_t kStateRowBytes = (kHeadDim + 2) * 4;
// Only a failing run comes near it.
constexpr std::chrono::seconds kPatience{30};

// Of this rank's backend; set and read by the test.
const Communicator* communicator = nullptr;
struct Call {
  int64_t bytes_before;  // handed to MPI since the communicator was made
  int64_t messages_left;
};
std::vector<Call> calls;

// Computes nothing, until all messages under way are through.
class PatientBackend : public AttentionBackend {
 public:
  std::string name() const override { return "patient"; }
  size_t workspace_bytes() const override { return 0; }
  TileSizes tiles() const override { return {1, 1}; }
  void Accumulate(const AttentionStep& step) override {
    const Traffic& traffic = communicator->traffic();
    calls.push_back({traffic.bytes_sent, 0});
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (step.progress.poll != nullptr && traffic.under_way > 0 && std::chrono::steady_clock::now() < end) {
      step.progress();
    }
    calls.back().messages_left = traffic.under_way;
  }
};

std::unique_ptr<AttentionBackend> MakePatient(const BackendConfig&) {
  return std::make_unique<PatientBackend>();
}

struct Case {
  ParallelStrategy strategy;
  Exchange exchange;
  Sharding sharding;
  AttentionAlgorithm algorithm;
  Contract contract;
  size_t calls;  // of the kernel
  // Bytes sent before the first call of the kernel, and after the last: in between they hide.
  int64_t bytes_first;
  int64_t bytes_last;

  bool meets_what_has_arrived() const {
    return strategy == ParallelStrategy::kSequence && contract == Contract::kTokenSharded &&
           exchange != Exchange::kMerge;
  }
};

class OverlapTest : public testing::Test {
 protected:
  void Check(const Case& test_case) {
    Communicator world(MPI_COMM_WORLD);
    communicator = &world;
    calls.clear();
    AttentionProblem problem;
    problem.query_heads = kQueryHeads;
    problem.kv_heads = kKvHeads;
    problem.head_dim = kHeadDim;
    problem.query_tokens = problem.kv_tokens = kTokens;
    const Variant variant = {
        test_case.strategy, test_case.exchange, test_case.sharding, test_case.algorithm, {}, {}};
    SCOPED_TRACE(Name(variant) + " " + std::string(Name(test_case.contract)));
    const auto attention =
        DistributedAttention::Create(world, problem, variant, test_case.contract,
                                     {Isa::kScalar, 1, &MakePatient, true, /*least_block_bytes=*/1});
    const auto buffer = [](const TensorShard& shard) {
      return TensorBuffer(DataType::kFloat32, {1, shard.head_count, shard.local_tokens(), kHeadDim});
    };
    const TensorBuffer q = buffer(attention->query_shard()), k = buffer(attention->key_value_shard()),
                       v = buffer(attention->key_value_shard()), output = buffer(attention->output_shard());
    attention->Run(q.view(), k.view(), v.view(), output.view());

    // Keys that were there before the first call are met in it.
    if (calls.size() != 1 || !test_case.meets_what_has_arrived()) {
      ASSERT_EQ(calls.size(), test_case.calls);
    }
    for (const Call& call : calls) EXPECT_EQ(call.messages_left, 0);
    EXPECT_EQ(calls.front().bytes_before, test_case.bytes_first);
    EXPECT_EQ(world.traffic().bytes_sent - calls.back().bytes_before, test_case.bytes_last);
    EXPECT_EQ(world.traffic().bytes_sent, attention->comm_bytes_formula());
    EXPECT_EQ(world.traffic().under_way, 0);
  }
};

constexpr ParallelStrategy kHeadwise = ParallelStrategy::kHeadwise, kSequence = ParallelStrategy::kSequence;
constexpr AttentionAlgorithm kOnline = AttentionAlgorithm::kOnlineSoftmax,
                             kStandard = AttentionAlgorithm::kStandard;
constexpr int64_t kOwnKeyValues = 2 * kKvHeads * (kTokens / 2) * kRowBytes;

// The first piece of heads meets the rank's own keys alone; then the others' are there, and the rest meets
// both.
TEST_F(OverlapTest, SequencePrefillHidesKeysAndValues) {
  for (Sharding sharding : {Sharding::kContiguous, Sharding::kZigzag}) {
    Check({kSequence, Exchange::kRing, sharding, kOnline, Contract::kTokenSharded, 3, kOwnKeyValues, 0});
    Check({kSequence, Exchange::kAllgather, sharding, kOnline, Contract::kTokenSharded, 3, kOwnKeyValues, 0});
  }
}

// An exact softmax needs all keys before it begins.
TEST_F(OverlapTest, ExactSoftmaxWaits) {
  Check({kSequence, Exchange::kAllgather, Sharding::kContiguous, kStandard, Contract::kTokenSharded, 1,
         kOwnKeyValues, 0});
}

// The last partial state is ready when there is nothing left to compute.
TEST_F(OverlapTest, MergeHidesQueries) {
  const int64_t rows = kQueryHeads * (kTokens / 2);
  Check({kSequence, Exchange::kMerge, Sharding::kContiguous, kOnline, Contract::kTokenSharded, 2,
         rows * kRowBytes, rows * kStateRowBytes});
}

// A rank has four KV heads, so four pieces; the outputs of the last are left.
TEST_F(OverlapTest, HeadwiseHidesAllButOnePiecesOutputs) {
  for (AttentionAlgorithm algorithm : {kOnline, kStandard}) {
    for (Contract contract : {Contract::kNative, Contract::kReplicated}) {
      Check({kHeadwise, Exchange::kAllgather, Sharding::kContiguous, algorithm, contract, 4, 0,
             kQueryHeads / 2 / 4 * kTokens * kRowBytes});
    }
  }
  // All eight KV heads, half of the rows.
  Check({kSequence, Exchange::kAllgather, Sharding::kContiguous, kOnline, Contract::kReplicated, 8, 0,
         kQueryHeads / 8 * (kTokens / 2) * kRowBytes});
}

// Four pieces; before the first its own Q, K and V, and the next one's, which travel meanwhile.
TEST_F(OverlapTest, AllToAllHidesAllButOnePieceEitherWay) {
  const int64_t query_heads = kQueryHeads / 2 / 4, kv_heads = kKvHeads / 2 / 4, rows = kTokens / 2;
  for (AttentionAlgorithm algorithm : {kOnline, kStandard}) {
    for (Sharding sharding : {Sharding::kContiguous, Sharding::kZigzag}) {
      Check({kHeadwise, Exchange::kAllToAll, sharding, algorithm, Contract::kTokenSharded, 4,
             2 * (query_heads + 2 * kv_heads) * rows * kRowBytes, query_heads * rows * kRowBytes});
    }
  }
}

}  // namespace
}  // namespace attention
