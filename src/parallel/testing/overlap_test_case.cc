#include "src/parallel/testing/overlap_test_case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "src/parallel/exchanges/tensor_buffer.h"
#include "src/parallel/make_distributed_attention.h"

namespace attention {
namespace {

// Only a failing run comes near it.
constexpr std::chrono::seconds kPatience{30};

struct Call {
  int64_t bytes_before;  // handed to MPI since the communicator was made
  int64_t messages_left;
};

// Of this rank's backend, which a plain function makes; set and read by CheckOverlap.
const Communicator* communicator = nullptr;
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

}  // namespace

void CheckOverlap(const OverlapCase& overlap_case) {
  Communicator world(MPI_COMM_WORLD);
  communicator = &world;
  calls.clear();
  AttentionProblem problem;
  problem.query_heads = kOverlapQueryHeads;
  problem.kv_heads = kOverlapKvHeads;
  problem.head_dim = kOverlapHeadDim;
  problem.query_tokens = problem.kv_tokens = world.size() * kOverlapTokensPerRank;
  const Variant variant = {
      overlap_case.strategy, overlap_case.exchange, overlap_case.sharding, overlap_case.algorithm, {}, {}};
  SCOPED_TRACE(Name(variant) + " " + std::string(Name(overlap_case.contract)));
  const auto attention =
      MakeDistributedAttention(world, problem, variant, overlap_case.contract,
                               {Isa::kScalar, 1, &MakePatient, true, /*least_block_bytes=*/1});
  const auto buffer = [](const TensorShard& shard) {
    return TensorBuffer(DataType::kFloat32, {1, shard.head_count, shard.local_tokens(), kOverlapHeadDim});
  };
  const TensorBuffer q = buffer(attention->query_shard()), k = buffer(attention->key_value_shard()),
                     v = buffer(attention->key_value_shard()), output = buffer(attention->output_shard());
  attention->Run(q.view(), k.view(), v.view(), output.view());

  ASSERT_THAT(calls.size(), testing::AnyOf(overlap_case.calls, overlap_case.fewest_calls));
  for (const Call& call : calls) EXPECT_EQ(call.messages_left, 0);
  EXPECT_EQ(calls.front().bytes_before, overlap_case.bytes_first);
  EXPECT_EQ(world.traffic().bytes_sent - calls.back().bytes_before, overlap_case.bytes_last);
  EXPECT_EQ(world.traffic().bytes_sent, attention->comm_bytes_formula());
  EXPECT_EQ(world.traffic().under_way, 0);
}

}  // namespace attention
