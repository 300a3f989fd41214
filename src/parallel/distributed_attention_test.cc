// Every valid strategy x exchange x sharding x contract x algorithm x ISA against float64, at up to 8 ranks:
// all pairs of factors by default; with ATTENTION_FULL_MATRIX_LENGTH=S in the environment, at that sequence
// length and the started number of ranks, the full product or, where that would take hours, all triples.
#include "src/parallel/contracts/distributed_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "src/attention/reference_backend.h"
#include "src/base/counter_random.h"
#include "src/kernels/attention_kernel.h"
#include "src/parallel/make_distributed_attention.h"
#include "src/parallel/testing/attention_test_case.h"
#include "src/parallel/testing/covering_array.h"

namespace attention {
namespace {

constexpr int kRankCounts[] = {1, 2, 3, 4, 5, 8};
constexpr int64_t kSequenceLengths[] = {1, 3, 37, 130, 257};
constexpr std::pair<int64_t, int64_t> kHeads[] = {{4, 4}, {6, 2}, {5, 1}, {16, 8}};
constexpr int64_t kHeadDims[] = {32, 64, 80, 128, 256};
constexpr int64_t kBatches[] = {1, 3};
// Which keys a query sees; of packed sequences the whole sequence, cut by number of the mask so that
// documents of length 1, documents inside a shard and documents that span several are among them.
constexpr int kMasks = 7;
Mask MaskOf(int number, int64_t tokens) {
  const auto documents = [&](std::initializer_list<int64_t> first_lengths) {
    std::vector<int64_t> lengths;
    int64_t left = tokens;
    for (int64_t length : first_lengths) {
      if (length < left) lengths.push_back(length);
      left -= length < left ? length : 0;
    }
    lengths.push_back(left);
    return Mask::Documents(lengths);
  };
  switch (number) {
    case 0:
      return Mask::Full();
    case 1:
      return Mask::Causal();
    case 2:
      return Mask::Window(3);
    case 3:  // a shard's border, for two ranks
      return Mask::Window((tokens + 1) / 2);
    case 4:
      return Mask::Window(tokens + 20);
    case 5:
      return documents({1, 1, 30, 1, 64, 100});
    default:
      return documents({90});
  }
}
// Keys and values that are there before a prefill begins: fewer than there are ranks, a shard's, more.
constexpr int64_t kCachedTokens[] = {0, 5, 64};
// At most, if not 0.
constexpr int64_t kRanksOfNode[] = {0, 1, 2, 4};
constexpr ParallelStrategy kSequence = ParallelStrategy::kSequence;
constexpr Grid kGrids[] = {{2, 2}, {2, 4}, {4, 2}, {3, 1}, {1, 3}, {2, 1}};

// A kernel to test with: the float64 backend, and every ISA that this machine runs.
struct Kernel {
  Isa isa;
  BackendFactory factory;
  int threads;
};

std::vector<Kernel> Kernels() {
  std::vector<Kernel> kernels = {{Isa::kScalar, &MakeReferenceBackend, 1}};
  // One of them with two threads per rank.
  for (Isa isa : SupportedIsas()) kernels.push_back({isa, &MakeAttentionKernel, isa == Isa::kSse4 ? 2 : 1});
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

// A prefill goes on behind what is cached; balanced sharding deals whole sequences.
bool TakesCached(const Combination& combination) {
  return combination.phase == Phase::kPrefill && combination.variant.sharding != Sharding::kBalanced;
}

// The longest sequence, and the most ranks (which share a few cores), whose full product is cheap.
constexpr int64_t kFullProductTokens = 37;
constexpr int kFullProductRanks = 3;

// The sequence length whose full product, or triples, is asked for; 0: all pairs.
int64_t FullMatrixLength() {
  const char* length = std::getenv("ATTENTION_FULL_MATRIX_LENGTH");
  return length == nullptr ? 0 : std::atoll(length);
}

AttentionProblem MakeProblem(Phase phase, int64_t tokens, std::pair<int64_t, int64_t> heads, int64_t head_dim,
                             int64_t batch, const Mask& mask, int64_t cached = 0) {
  AttentionProblem problem;
  problem.batch = batch;
  problem.query_heads = heads.first;
  problem.kv_heads = heads.second;
  problem.head_dim = head_dim;
  problem.query_tokens = phase == Phase::kPrefill ? tokens : 1;
  problem.kv_tokens = tokens + cached;
  problem.mask = mask;
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
                                problem.query_tokens, problem.kv_tokens, Name(problem.mask));
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
    EXPECT_EQ(result.shard_bytes, result.shard_bytes_by_formula);
    // The reference backend has no workspace of its own.
    if (test_case.options.backend == &MakeReferenceBackend) {
      EXPECT_EQ(result.workspace_bytes, result.buffer_bytes_by_formula);
    }
    if (!test_case.run_parts) return;
    EXPECT_EQ(result.bytes_exchange_only, result.bytes_by_formula);
    EXPECT_EQ(result.bytes_compute_only, 0);
  }

  Communicator world_;

 private:
  std::vector<std::optional<Communicator>> parts_;
  std::vector<TestData> data_;
  std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, std::string> data_key_;
};

// One line now and then, and one at the end, from rank 0: a product runs for minutes.
class CaseCount {
 public:
  CaseCount(size_t total, bool speaks) : total_(total), speaks_(speaks) {}
  ~CaseCount() {
    if (speaks_) std::printf("%zu cases\n", done_);
  }
  void Next() {
    if (++done_ % 5000 == 0 && speaks_) {
      std::printf("%zu of %zu cases\n", done_, total_);
      std::fflush(stdout);
    }
  }

 private:
  size_t total_;
  bool speaks_;
  size_t done_ = 0;
};

// While this lives, a node of `communicator` has at most so many ranks.
class SmallNodes {
 public:
  SmallNodes(const Communicator& communicator, int64_t most) : settings_(communicator.settings()) {
    settings_.most_ranks_of_node = most;
  }
  ~SmallNodes() { settings_.most_ranks_of_node = 0; }

 private:
  ExchangeSettings& settings_;
};

// Rows of the matrix. Shapes come first, so that in the long ones, which are sorted, cases of one shape
// follow each other and share their reference. These take the number of ranks as it was started and the two
// storages by turns; all take by turns one node, and nodes of one, two and four ranks; the float64 backend,
// which is not an ISA, cached tokens and the parts of a run are left to all pairs, and the full product has
// two of the masks.
void RunMatrix(const Communicator& world, const std::vector<Combination>& combinations,
               const std::vector<Grid>& all_grids,
               const std::function<void(int ranks, const TestCase&)>& check) {
  const int64_t full_length = FullMatrixLength();
  std::vector<Kernel> kernels = Kernels();
  std::vector<int> rank_counts(std::begin(kRankCounts), std::end(kRankCounts));
  std::vector<Grid> grids = all_grids;
  if (full_length > 0) {
    kernels.erase(kernels.begin());
    rank_counts = {world.size()};
    std::erase_if(grids, [&](const Grid& grid) { return grid.headwise * grid.sequence != world.size(); });
    if (grids.empty() && !all_grids.empty()) return;  // no grid has this many ranks
  }
  const std::vector<int64_t> lengths =
      full_length > 0 ? std::vector<int64_t>{full_length}
                      : std::vector<int64_t>(std::begin(kSequenceLengths), std::end(kSequenceLengths));
  const auto count = [](const auto& values) { return static_cast<int>(std::size(values)); };
  const bool is_full =
      full_length > 0 && full_length <= kFullProductTokens && world.size() <= kFullProductRanks;
  const std::vector<int> levels = {is_full ? 2 : kMasks,
                                   count(lengths),
                                   count(kHeads),
                                   count(kHeadDims),
                                   count(kBatches),
                                   count(combinations),
                                   grids.empty() ? count(rank_counts) : count(grids),
                                   count(kernels),
                                   full_length > 0 ? 1 : 2,
                                   full_length > 0 ? 1 : count(kCachedTokens)};
  std::vector<std::vector<int>> rows =
      is_full ? FullProduct(levels) : CoveringArray(levels, full_length > 0 ? 3 : 2);
  if (full_length > 0) std::ranges::sort(rows);
  CaseCount cases(rows.size(), world.rank() == 0);
  for (const std::vector<int>& row : rows) {
    cases.Next();
    const Combination& combination = combinations[static_cast<size_t>(row[5])];
    const Kernel& kernel = kernels[static_cast<size_t>(row[7])];
    TestCase test_case;
    const int64_t length = lengths[static_cast<size_t>(row[1])];
    const int64_t cached = TakesCached(combination) ? kCachedTokens[row[9]] : 0;
    test_case.problem = MakeProblem(combination.phase, length, kHeads[row[2]], kHeadDims[row[3]],
                                    kBatches[row[4]], MaskOf(row[0], length + cached), cached);
    test_case.variant = combination.variant;
    test_case.contract = combination.contract;
    // Some rows in as many pieces of heads as there can be, some in one.
    const int64_t row_sum = std::accumulate(row.begin(), row.end(), int64_t{0});
    const int64_t least_block_bytes = row_sum / 2 % 2 == 0 ? 1 : ExecutionOptions().least_block_bytes;
    test_case.options = {kernel.isa, kernel.threads, kernel.factory, /*poll_progress=*/true,
                         least_block_bytes};
    test_case.token_major = full_length > 0 ? row_sum % 2 == 1 : row[8] == 1;
    test_case.in_place = row_sum % 3 != 0;
    test_case.run_parts = full_length == 0;
    const SmallNodes nodes(world, kRanksOfNode[row_sum % 4]);
    int ranks = rank_counts[grids.empty() ? static_cast<size_t>(row[6]) : 0];
    if (!grids.empty()) {
      test_case.variant.grid = grids[static_cast<size_t>(row[6])];
      ranks = test_case.variant.grid.headwise * test_case.variant.grid.sequence;
    }
    check(ranks, test_case);
  }
}

TEST_F(StrategyTest, EveryCombinationAgreesWithFloat64) {
  RunMatrix(world_, Combinations(false), {},
            [&](int ranks, const TestCase& test_case) { Check(ranks, test_case); });
}

TEST_F(StrategyTest, EveryGridAgreesWithFloat64) {
  RunMatrix(world_, Combinations(true), std::vector<Grid>(std::begin(kGrids), std::end(kGrids)),
            [&](int ranks, const TestCase& test_case) { Check(ranks, test_case); });
}

// Logits that grow to hundreds from rank to rank, in either direction: every rank's part must be rescaled to
// the largest maximum, or exp overflows. A logit's rounding error grows with its size, and so does the
// tolerance.
TEST_F(StrategyTest, GrowingLogitsDoNotOverflow) {
  constexpr double kGrowth = 60;
  for (const Kernel& kernel : Kernels()) {
    for (const Combination& combination : Combinations(false)) {
      if (combination.variant.algorithm != AttentionAlgorithm::kOnlineSoftmax) continue;
      TestCase test_case;
      test_case.problem = MakeProblem(combination.phase, 97, {4, 2}, 64, 1, Mask::Full());
      test_case.variant = combination.variant;
      test_case.contract = combination.contract;
      test_case.options = {kernel.isa, kernel.threads, kernel.factory, true};
      for (double growth : {kGrowth, -kGrowth}) {
        const TestData data = MakeTestData(world_, test_case.problem, growth);
        Communicator* ranks = FirstRanks(4);
        if (ranks == nullptr) continue;
        const TestResult result = RunTestCase(*ranks, test_case, data);
        EXPECT_LE(result.relative_l2_error, result.tolerance * 5 * kGrowth)
            << Name(test_case) << " growth " << growth;
      }
    }
  }
}

// With one rank there is nothing to exchange: all variants of an algorithm make the same single call of the
// kernel.
TEST_F(StrategyTest, OnOneRankEveryVariantIsTheSameToTheLastBit) {
  for (const Kernel& kernel : Kernels()) {
    std::map<std::tuple<Phase, AttentionAlgorithm>, std::vector<float>> first;
    for (const Combination& combination : Combinations(false)) {
      // Decode by merging finishes a state in a pass of its own, which rounds once more.
      if (combination.phase == Phase::kDecode && combination.variant.strategy == kSequence) continue;
      TestCase test_case;
      test_case.problem = MakeProblem(combination.phase, 130, {6, 2}, 64, 3, Mask::Causal());
      test_case.variant = combination.variant;
      test_case.contract = combination.contract;
      test_case.options = {kernel.isa, kernel.threads, kernel.factory, true};
      const TestData& data = DataFor(test_case.problem);
      if (world_.rank() != 0) continue;
      const TestResult result = RunTestCase(*FirstRanks(1), test_case, data);
      const auto [entry, is_first] =
          first.try_emplace(std::tuple(combination.phase, combination.variant.algorithm), result.output);
      EXPECT_TRUE(is_first || entry->second == result.output) << Name(test_case);
    }
  }
}

// A backend that dawdles, each rank and step for another time, so that messages arrive in another order.
int delay_seed = 0;  // of this rank; set between runs

class DawdlingBackend : public AttentionBackend {
 public:
  explicit DawdlingBackend(std::unique_ptr<AttentionBackend> inner) : inner_(std::move(inner)) {}
  std::string name() const override { return inner_->name(); }
  size_t workspace_bytes() const override { return inner_->workspace_bytes(); }
  TileSizes tiles() const override { return inner_->tiles(); }
  void Accumulate(const AttentionStep& step) override {
    const uint64_t bits = RandomBits(static_cast<uint64_t>(delay_seed), 0, static_cast<uint64_t>(++calls_));
    std::this_thread::sleep_for(std::chrono::microseconds(bits % 8000));
    inner_->Accumulate(step);
  }

 private:
  std::unique_ptr<AttentionBackend> inner_;
  int calls_ = 0;
};

template <BackendFactory factory>
std::unique_ptr<AttentionBackend> MakeDawdling(const BackendConfig& config) {
  return std::make_unique<DawdlingBackend>(factory(config));
}

TEST_F(StrategyTest, ResultsDoNotDependOnArrival) {
  const SmallNodes nodes(world_, 2);
  for (const Combination& combination : Combinations(false)) {
    if (combination.variant.exchange == Exchange::kNone) continue;
    const bool takes_grid = combination.variant.strategy == ParallelStrategy::kSequence;
    for (const Grid& grid : {Grid{}, Grid{2, 2}}) {
      if (grid.is_set() && !takes_grid) continue;
      TestCase test_case;
      test_case.problem = MakeProblem(combination.phase, 37, {6, 2}, 32, 1, Mask::Causal(),
                                      TakesCached(combination) ? 20 : 0);
      test_case.variant = combination.variant;
      test_case.variant.grid = grid;
      test_case.contract = combination.contract;
      test_case.run_parts = false;
      const TestData& data = DataFor(test_case.problem);
      Communicator* ranks = FirstRanks(4);
      if (ranks == nullptr) continue;
      for (BackendFactory backend :
           {&MakeDawdling<&MakeReferenceBackend>, &MakeDawdling<&MakeAttentionKernel>}) {
        std::vector<float> first;
        for (int seed = 0; seed < 3; ++seed) {
          delay_seed = 100 * seed + ranks->rank();
          test_case.begin_apart = seed == 2;
          test_case.in_place = seed > 0;
          test_case.options = {SupportedIsas().back(), 1, backend, seed != 1, /*least_block_bytes=*/1};
          const TestResult result = RunTestCase(*ranks, test_case, data);
          if (seed == 0) first = result.output;
          EXPECT_LE(result.relative_l2_error, result.tolerance) << Name(test_case) << " seed " << seed;
          EXPECT_EQ(first, result.output) << Name(test_case) << " seed " << seed;
        }
      }
    }
  }
}

// Blocks above the message limit are cut, here after every second row of the smallest head_dim.
TEST_F(StrategyTest, SmallMessagesChangeNothing) {
  for (const Combination& combination : Combinations(false)) {
    TestCase test_case;
    test_case.problem = MakeProblem(combination.phase, 37, {6, 2}, 32, 3, Mask::Causal());
    test_case.variant = combination.variant;
    test_case.contract = combination.contract;
    test_case.options = {Isa::kScalar, 1, &MakeReferenceBackend, true, /*least_block_bytes=*/1};
    const int64_t usual = world_.settings().max_message_bytes;
    world_.settings().max_message_bytes = 300;
    Check(3, test_case);
    world_.settings().max_message_bytes = usual;
  }
}

}  // namespace
}  // namespace attention
