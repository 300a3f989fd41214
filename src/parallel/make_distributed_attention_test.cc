// What cannot be made, on four ranks: every one of them is told, and none is left waiting.
#include "src/parallel/make_distributed_attention.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "src/attention/reference_backend.h"
#include "src/base/error.h"
#include "src/mpi/communicator.h"

namespace attention {
namespace {

AttentionProblem Problem(int64_t tokens, Phase phase = Phase::kPrefill) {
  AttentionProblem problem;
  problem.query_heads = problem.kv_heads = 4;
  problem.head_dim = 32;
  problem.query_tokens = phase == Phase::kPrefill ? tokens : 1;
  problem.kv_tokens = tokens;
  problem.phase = phase;
  return problem;
}

std::string CreateError(Communicator& ranks, const AttentionProblem& problem, const Variant& variant,
                        Contract contract, BackendFactory factory = &MakeReferenceBackend) {
  try {
    MakeDistributedAttention(ranks, problem, variant, contract, {Isa::kScalar, 1, factory, true});
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(MakeDistributedAttentionTest, RanksThatDisagreeAreTold) {
  Communicator world(MPI_COMM_WORLD);
  const std::string error =
      CreateError(world, Problem(world.rank() == 2 ? 11 : 10), Variant(), Contract::kNative);
  EXPECT_EQ(error.find("rank 2: its plan differs from rank 0's"), 0u) << error;
}

TEST(MakeDistributedAttentionTest, BadRequestsAreRefusedOnEveryRank) {
  Communicator world(MPI_COMM_WORLD);
  const AttentionProblem good = Problem(10);
  Variant ring = {ParallelStrategy::kSequence,
                  Exchange::kRing,
                  Sharding::kZigzag,
                  AttentionAlgorithm::kOnlineSoftmax,
                  {},
                  {}};
  EXPECT_EQ(CreateError(world, good, ring, Contract::kNative), "");
  EXPECT_NE(CreateError(world, good, ring, Contract::kReplicated).find("not possible under contract"),
            std::string::npos);
  ring.grid = {2, 3};
  EXPECT_EQ(CreateError(world, good, ring, Contract::kNative), "grid 2x3 does not have 4 ranks");
  AttentionProblem bad = good;
  bad.kv_heads = 3;
  EXPECT_EQ(CreateError(world, bad, Variant(), Contract::kNative),
            "query heads 4 are not a multiple of KV heads 3");
  Variant balanced = ring;
  balanced.grid = {};
  balanced.sharding = Sharding::kBalanced;
  bad = good;
  bad.kv_tokens = 13;
  EXPECT_EQ(CreateError(world, bad, balanced, Contract::kNative),
            "sharding balanced deals a sequence that begins here; behind 3 cached tokens name contiguous or "
            "zigzag");
  bad = good;
  bad.kv_tokens = bad.query_tokens = int64_t{1} << 61;
  EXPECT_NE(CreateError(world, bad, Variant(), Contract::kNative), "");
}

// A rank whose backend cannot be made takes the others with it, by name: also where they make something
// together, such as a node's shared memory.
TEST(MakeDistributedAttentionTest, OneRanksFailureIsEveryRanksError) {
  Communicator world(MPI_COMM_WORLD);
  const BackendFactory fails = [](const BackendConfig&) -> std::unique_ptr<AttentionBackend> {
    Fail("no such kernel");
  };
  for (Phase phase : {Phase::kPrefill, Phase::kDecode}) {
    for (const ValidCombination& valid : ValidCombinations(phase)) {
      for (const Grid& grid : {Grid{}, Grid{2, 2}}) {
        Variant variant = valid.variant;
        variant.grid = grid;
        if (!WhyInvalid(variant, valid.contract, phase).empty()) continue;
        const std::string error = CreateError(world, Problem(10, phase), variant, valid.contract,
                                              world.rank() == 1 ? fails : &MakeReferenceBackend);
        EXPECT_EQ(error, "rank 1: no such kernel") << Name(variant);
      }
    }
  }
}

TEST(MakeDistributedAttentionTest, ViewsThatDoNotFitAreRefused) {
  Communicator self(MPI_COMM_SELF);
  AttentionProblem problem = Problem(2);
  problem.query_heads = problem.kv_heads = 1;
  problem.head_dim = 4;
  const std::unique_ptr<DistributedAttention> attention = MakeDistributedAttention(
      self, problem, Variant(), Contract::kNative, {Isa::kScalar, 1, &MakeReferenceBackend, true});
  std::vector<float> values(8);
  const TensorView right = HeadMajorView(values.data(), DataType::kFloat32, {1, 1, 2, 4});
  const TensorView wrong = HeadMajorView(values.data(), DataType::kFloat32, {1, 2, 1, 4});
  attention->Run(right, right, right, right);
  EXPECT_THROW(attention->Run(right, wrong, right, right), Error);
}

}  // namespace
}  // namespace attention
