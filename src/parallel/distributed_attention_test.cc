// Every valid strategy x exchange x sharding x contract x algorithm x ISA against float64, at up to 8 ranks:
// all pairs of factors by default, the full product with ATTENTION_TEST_MATRIX=full in the environment.
#include "src/parallel/distributed_attention.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "src/base/error.h"
#include "src/kernels/reference_backend.h"
#include "src/parallel/attention_test_case.h"
#include "src/parallel/covering_array.h"

namespace attention {
namespace {

constexpr int kRankCounts[] = {1, 2, 3, 4, 5, 8};
constexpr int64_t kSequenceLengths[] = {1, 3, 37, 130, 257};
constexpr std::pair<int64_t, int64_t> kHeads[] = {{4, 4}, {6, 2}, {5, 1}, {16, 8}};
constexpr int64_t kHeadDims[] = {32, 64, 80, 128, 256};
constexpr int64_t kBatches[] = {1, 3};
constexpr Grid kGrids[] = {{2, 2}, {2, 4}, {4, 2}, {3, 1}, {1, 3}, {2, 1}};

// A kernel to test with: the float64 backend, and every ISA that this machine runs.
struct Kernel {
  Isa isa;
  BackendFactory factory;
  int threads;
};

std::vector<Kernel> Kernels() {
  std::vector<Kernel> kernels = {{Isa::kScalar, &MakeReferenceBackend, 1}};
  return kernels;
}

struct Combination {
  Variant variant;
  Contract contract;
  Phase phase;
};

std::vector<Combination> Combinations(bool grids_only) {
  std::vector<Combination> combinations;
  for (Phase phase : {Phase::kPrefill, Phase::kDecode}) {
    for (const ValidCombination& valid : ValidCombinations(phase)) {
      if (grids_only && valid.variant.strategy != ParallelStrategy::kSequence) continue;
      combinations.push_back({valid.variant, valid.contract, phase});
    }
  }
  return combinations;
}

bool FullMatrix() {
  const char* matrix = std::getenv("ATTENTION_TEST_MATRIX");
  return matrix != nullptr && std::string(matrix) == "full";
}

AttentionProblem MakeProblem(Phase phase, int64_t tokens, std::pair<int64_t, int64_t> heads, int64_t head_dim,
                             int64_t batch, bool causal) {
  AttentionProblem problem;
  problem.batch = batch;
  problem.query_heads = heads.first;
  problem.kv_heads = heads.second;
  problem.head_dim = head_dim;
  problem.query_tokens = phase == Phase::kPrefill ? tokens : 1;
  problem.kv_tokens = tokens;
  problem.causal = causal;
  problem.phase = phase;
  return problem;
}

// The world, a communicator of each size, and the data of the shapes seen last.
class StrategyTest : public testing::Test {
 protected:
  StrategyTest() : world_(MPI_COMM_WORLD) {
    for (int ranks = 1; ranks <= world_.size(); ++ranks) {
      parts_.push_back(world_.Split(world_.rank() < ranks ? 0 : -1, 0));
    }
  }

  // Nullptr on ranks outside the first `ranks`.
  Communicator* FirstRanks(int ranks) {
    std::optional<Communicator>& part = parts_[static_cast<size_t>(ranks - 1)];
    return part ? &*part : nullptr;
  }

  // Collective over the world.
  const TestData& DataFor(const AttentionProblem& problem) {
    const auto key = std::tuple(problem.batch, problem.query_heads, problem.kv_heads, problem.head_dim,
                                problem.query_tokens, problem.kv_tokens, problem.causal);
    if (data_.empty() || key != data_key_) {
      data_ = {MakeTestData(world_, problem)};
      data_key_ = key;
    }
    return data_[0];
  }

  void Check(int ranks, const TestCase& test_case) {
    const TestData& data = DataFor(test_case.problem);
    Communicator* communicator = FirstRanks(ranks);
    if (communicator == nullptr) return;
    SCOPED_TRACE(Name(test_case) + " ranks=" + std::to_string(ranks));
    const TestResult result = RunTestCase(*communicator, test_case, data);
    EXPECT_LE(result.relative_l2_error, result.tolerance);
    EXPECT_EQ(result.bytes_sent, result.bytes_by_formula);
    EXPECT_EQ(result.bytes_exchange_only, result.bytes_by_formula);
    EXPECT_EQ(result.bytes_compute_only, 0);
  }

  Communicator world_;

 private:
  std::vector<std::optional<Communicator>> parts_;
  std::vector<TestData> data_;
  std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, bool> data_key_;
};

// Rows of the matrix. Shapes come first, so that in the full product cases of one shape follow each other and
// share their reference.
void RunMatrix(const std::vector<Combination>& combinations, const std::vector<Grid>& grids,
               const std::function<void(int ranks, const TestCase&)>& check) {
  const std::vector<Kernel> kernels = Kernels();
  const std::vector<int> levels = {2,
                                   static_cast<int>(std::size(kSequenceLengths)),
                                   static_cast<int>(std::size(kHeads)),
                                   static_cast<int>(std::size(kHeadDims)),
                                   static_cast<int>(std::size(kBatches)),
                                   static_cast<int>(combinations.size()),
                                   static_cast<int>(grids.empty() ? std::size(kRankCounts) : grids.size()),
                                   static_cast<int>(kernels.size()),
                                   2};
  for (const std::vector<int>& row : FullMatrix() ? FullProduct(levels) : AllPairs(levels)) {
    const Combination& combination = combinations[static_cast<size_t>(row[5])];
    const Kernel& kernel = kernels[static_cast<size_t>(row[7])];
    TestCase test_case;
    test_case.problem = MakeProblem(combination.phase, kSequenceLengths[row[1]], kHeads[row[2]],
                                    kHeadDims[row[3]], kBatches[row[4]], row[0] == 1);
    test_case.variant = combination.variant;
    test_case.contract = combination.contract;
    test_case.options = {kernel.isa, kernel.threads, kernel.factory, /*poll_progress=*/true};
    test_case.token_major = row[8] == 1;
    int ranks = kRankCounts[grids.empty() ? row[6] : 0];
    if (!grids.empty()) {
      test_case.variant.grid = grids[static_cast<size_t>(row[6])];
      ranks = test_case.variant.grid.headwise * test_case.variant.grid.sequence;
    }
    check(ranks, test_case);
  }
}

TEST_F(StrategyTest, EveryCombinationAgreesWithFloat64) {
  RunMatrix(Combinations(false), {}, [&](int ranks, const TestCase& test_case) { Check(ranks, test_case); });
}

TEST_F(StrategyTest, EveryGridAgreesWithFloat64) {
  RunMatrix(Combinations(true), std::vector<Grid>(std::begin(kGrids), std::end(kGrids)),
            [&](int ranks, const TestCase& test_case) { Check(ranks, test_case); });
}

}  // namespace
}  // namespace attention
