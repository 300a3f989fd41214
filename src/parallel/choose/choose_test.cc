// The probe and the choice on real ranks: they end, their figures make sense, and no rank is left behind.
#include "src/parallel/choose/choose.h"

#include <gtest/gtest.h>
#include <mpi.h>

#include <cmath>
#include <string>

#include "src/attention/reference_backend.h"
#include "src/base/error.h"
#include "src/kernels/attention_kernel.h"
#include "src/parallel/choose/probe.h"
#include "src/parallel/partition/visible_pairs.h"

namespace attention {
namespace {

constexpr AttentionAlgorithm kOnline = AttentionAlgorithm::kOnlineSoftmax;

AttentionProblem Problem(int64_t tokens, const Mask& mask) {
  AttentionProblem problem;
  problem.query_heads = 6;
  problem.kv_heads = 3;
  problem.head_dim = 32;
  problem.query_tokens = problem.kv_tokens = tokens;
  problem.mask = mask;
  return problem;
}

ExecutionOptions Options(BackendFactory backend = &MakeAttentionKernel) {
  ExecutionOptions options;
  options.isa = BestIsa();
  options.backend = backend;
  return options;
}

// Short: nothing here looks at how long anything takes.
ProbeOptions Short() { return {0.001, 0.001, int64_t{64} << 10, 1}; }

void ExpectSound(const LinkRate& rate) {
  EXPECT_TRUE(std::isfinite(rate.latency_s) && rate.latency_s > 0);
  EXPECT_TRUE(std::isfinite(rate.bytes_per_second) && rate.bytes_per_second > 0);
  EXPECT_GE(rate.unhidden, 0);
  EXPECT_LE(rate.unhidden, 1);
}

// The ranks as if on one node, on one each, and unevenly on two.
TEST(ProbeTest, RatesAreFiniteAndPositive) {
  const Communicator world(MPI_COMM_WORLD);
  std::vector<int> one(static_cast<size_t>(world.size()), 4), each, two;
  for (int rank = 0; rank < world.size(); ++rank) {
    each.push_back(rank);
    two.push_back(rank == 0 ? 9 : 2);
  }
  for (const std::vector<int>& nodes : {one, each, two}) {
    for (AttentionAlgorithm algorithm : kAllAlgorithms) {
      const AttentionProblem problem = Problem(200, Mask::Causal());
      const std::vector<KernelStep> steps =
          StepsToProbe(problem, algorithm, Contract::kNative, nodes, /*threads=*/1);
      const Rates rates = ProbeRates(world, nodes, problem, Options(), steps, Short());
      if (world.size() > 1) {  // else there is no link
        ExpectSound(rates.within_node);
        ExpectSound(rates.across_nodes);
      }
      EXPECT_EQ(rates.kernels.size(), steps.size());
      for (const KernelRate& rate : rates.kernels) {
        EXPECT_EQ(rate.algorithm, algorithm);
        EXPECT_TRUE(std::isfinite(rate.pairs_per_second) && rate.pairs_per_second > 0);
      }
      EXPECT_GT(rates.kernel_call_s, 0);
      EXPECT_TRUE(std::isfinite(rates.memory_bytes_per_second) && rates.memory_bytes_per_second > 0);
      for (double value : {rates.within_node.latency_s, rates.across_nodes.bytes_per_second,
                           rates.kernels.front().pairs_per_second, rates.within_node.unhidden}) {
        EXPECT_EQ(world.Min(value), world.Max(value));
      }
    }
  }
}

// What is too long for the probe is measured on a smaller step of the same shape.
TEST(ProbeTest, LongStepsAreShortened) {
  const Communicator world(MPI_COMM_WORLD);
  const std::vector<int> nodes(static_cast<size_t>(world.size()), 0);
  AttentionProblem decode = Problem(1 << 21, Mask::Causal());
  decode.query_tokens = 1;
  decode.phase = Phase::kDecode;
  for (const AttentionProblem& problem :
       {Problem(1 << 15, Mask::Full()), Problem(1 << 15, Mask::Window(1000)), decode}) {
    const std::vector<KernelStep> steps = StepsToProbe(problem, kOnline, Contract::kNative, nodes, 1);
    for (const KernelRate& rate : ProbeRates(world, nodes, problem, Options(), steps, Short()).kernels) {
      EXPECT_TRUE(std::isfinite(rate.pairs_per_second) && rate.pairs_per_second > 0);
    }
  }
}

// Halved, these queries would lie in the second document and these keys in the first.
TEST(ProbeTest, AShortenedStepStillSeesSomething) {
  const AttentionProblem problem = Problem(16384, Mask::Documents(std::vector<int64_t>{4096, 12288}));
  KernelStep step = {kOnline, {{0, 8192, 4096}}, {{0, 4096, 4096}}, 1, 1, 0};
  step.pairs = VisiblePairs(step.queries, step.keys, problem.mask);
  ASSERT_EQ(step.pairs, 4096.0 * 4096);
  EXPECT_EQ(ShortenedStep(step, problem, 2e6).density(), 1);
  step.keys = {{0, 4096, 8192}};
  step.pairs = VisiblePairs(step.queries, step.keys, problem.mask);
  const KernelStep shortened = ShortenedStep(step, problem, 1e7);
  EXPECT_LT(shortened.rows(), step.rows());
  EXPECT_GT(shortened.pairs, 0);
}

TEST(ChooseVariantTest, AllRanksChooseTheSame) {
  const Communicator world(MPI_COMM_WORLD);
  const std::vector<int> nodes(static_cast<size_t>(world.size()), 0);
  for (Contract contract : {Contract::kNative, Contract::kReplicated, Contract::kTokenSharded}) {
    const AttentionProblem problem = Problem(130, Mask::Causal());
    const Choice choice = ChooseVariant(world, nodes, problem, kOnline, contract, Options(), Short());
    EXPECT_EQ(WhyInvalid(choice.variant(), contract, Phase::kPrefill), "");
    EXPECT_GT(choice.ranking.front().seconds, 0);
    std::string names;
    for (const Prediction& prediction : choice.ranking) names += Name(prediction.variant) + ";";
    EXPECT_EQ(world.Broadcast(names, 0), names);
    if (world.size() == 1) {
      EXPECT_EQ(choice.ranking.size(), 1u);
      EXPECT_EQ(choice.variant(), Candidates(kOnline, contract, Phase::kPrefill).front());
    }
  }
}

int failing_rank = -1;  // set by the test, before the backend is asked

std::unique_ptr<AttentionBackend> MakeFailing(const BackendConfig& config) {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == failing_rank) FailUsage("no such kernel here");
  return MakeReferenceBackend(config);
}

class Thrower : public AttentionBackend {
 public:
  std::string name() const override { return "thrower"; }
  void Accumulate(const AttentionStep&) override {
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == failing_rank) Fail("broke down");
  }
  size_t workspace_bytes() const override { return 0; }
  TileSizes tiles() const override { return {1, 1}; }
};

TEST(ChooseVariantTest, AFailureOnOneRankIsEverybodysError) {
  const Communicator world(MPI_COMM_WORLD);
  const std::vector<int> nodes(static_cast<size_t>(world.size()), 0);
  failing_rank = world.size() - 1;
  const auto error_of = [&](BackendFactory backend) -> std::string {
    try {
      ChooseVariant(world, nodes, Problem(20, Mask::Full()), kOnline, Contract::kNative, Options(backend),
                    Short());
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(error_of(&MakeFailing).find("no such kernel here"), std::string::npos);
  const BackendFactory thrower = [](const BackendConfig&) -> std::unique_ptr<AttentionBackend> {
    return std::make_unique<Thrower>();
  };
  EXPECT_NE(error_of(thrower).find("broke down"), std::string::npos);
}

}  // namespace
}  // namespace attention
