#include "src/experiment/plan/plan.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/experiment/ask/experiment_file.h"
#include "src/experiment/commands/report.h"
#include "src/experiment/plan/case_cost.h"

namespace attention {
namespace {

Plan PlanOf(const std::string& grid, const std::string& rest = "") {
  return MakePlan(ParseExperiment("name: x\ngrid:\n" + grid + rest, "x.yaml"), {Isa::kAvx2});
}

constexpr const char* kVariants =
    "  variant: [sequence+online_softmax, headwise+online_softmax, sequence+standard]\n";

TEST(PlanTest, IsTheProductOfTheAxes) {
  const Plan plan = PlanOf(std::string(kVariants) +
                           "  seq_len: [8, 16]\n  ranks: [1, 3]\n  contract: [native, replicated]\n");
  EXPECT_EQ(plan.cells.size(), 8u);
  EXPECT_EQ(plan.case_count(), 24u);
  EXPECT_EQ(plan.max_ranks, 3);
  std::set<std::string> ids;
  for (const Cell& cell : plan.cells) {
    ids.insert(cell.id);
    EXPECT_EQ(cell.isa, Isa::kAvx2);
    for (const Case& made : cell.cases) EXPECT_EQ(made.id, cell.id + "/" + made.label);
  }
  EXPECT_EQ(ids.size(), 8u);
}

TEST(PlanTest, CellIdsDoNotDependOnTheRestOfTheGrid) {
  const Plan small = PlanOf(std::string(kVariants) + "  seq_len: [16]\n");
  const Plan large = PlanOf(std::string(kVariants) + "  ranks: [2, 1]\n  seq_len: [8, 16]\n");
  std::set<std::string> ids;
  for (const Cell& cell : large.cells) ids.insert(cell.id);
  EXPECT_EQ(ids.count(small.cells.front().id), 1u);
}

// Those of checked-in runs (results/kernels): --resume and the analysis know cells by them.
TEST(PlanTest, CellIdsAreThoseOfEarlierRevisions) {
  const auto id = [](const std::string& rest) {
    return PlanOf("  variant: [headwise(none)+standard]\n" + rest).cells.front().id;
  };
  EXPECT_EQ(id("  seq_len: [512]\n"), "8166e55913");
  EXPECT_EQ(id("  seq_len: [512]\n  causal: [true]\n"), "8166e55913");
  EXPECT_EQ(id("  seq_len: [512]\n  mask: [causal]\n"), "8166e55913");
  EXPECT_EQ(id("  seq_len: [512]\n  causal: [false]\n"), "796c643cd4");
  EXPECT_EQ(id("  seq_len: [512]\n  mask: [full]\n"), "796c643cd4");
  std::set<std::string> ids = {"8166e55913", "796c643cd4"};
  for (const char* mask : {"window:512", "window:51", "documents:512", "documents:511+1"}) {
    EXPECT_TRUE(ids.insert(id("  seq_len: [512]\n  mask: [" + std::string(mask) + "]\n")).second) << mask;
  }
}

TEST(PlanTest, DefaultsFollowMaskContractAndPhase) {
  const auto variant = [](const std::string& rest, int index) {
    const bool decode = rest.find("decode") != std::string::npos;
    const char* variants = decode ? "  variant: [sequence+online_softmax]\n" : kVariants;
    return PlanOf(variants + rest).cells.front().cases[index].variant;
  };
  EXPECT_EQ(variant("  causal: [true]\n", 0).sharding, Sharding::kZigzag);
  EXPECT_EQ(variant("  causal: [false]\n", 0).sharding, Sharding::kContiguous);
  EXPECT_EQ(variant("  mask: [window:9]\n", 0).sharding, Sharding::kContiguous);
  EXPECT_EQ(variant("  seq_len: [9]\n  mask: [documents:4+5]\n", 0).sharding, Sharding::kBalanced);
  EXPECT_EQ(variant("  phase: [prefill]\n", 0).exchange, Exchange::kRing);
  EXPECT_EQ(variant("  phase: [decode]\n", 0).exchange, Exchange::kMerge);
  EXPECT_EQ(variant("  contract: [native]\n", 1).exchange, Exchange::kAllgather);
  EXPECT_EQ(variant("  contract: [token_sharded]\n", 1).exchange, Exchange::kAllToAll);
  EXPECT_EQ(variant("", 2).exchange, Exchange::kAllgather);
}

// Counted one by one.
double CountPairs(const AttentionProblem& problem) {
  double pairs = 0;
  for (int64_t i = 0; i < problem.query_tokens; ++i) {
    for (int64_t j = 0; j < problem.kv_tokens; ++j) {
      if (problem.mask == Mask::Full() || j <= problem.kv_tokens - problem.query_tokens + i) ++pairs;
    }
  }
  return pairs;
}

TEST(PlanTest, FlopsAreExact) {
  for (bool causal : {false, true}) {
    for (int64_t queries : {1, 5, 37}) {
      AttentionProblem problem;
      problem.query_tokens = queries;
      problem.kv_tokens = 37;
      problem.mask = causal ? Mask::Causal() : Mask::Full();
      EXPECT_EQ(VisiblePairs(problem), CountPairs(problem)) << causal << " " << queries;
    }
  }
  const Plan plan = PlanOf(std::string(kVariants) + "  seq_len: [10]\n  causal: [true]\n  batch: [3]\n");
  EXPECT_EQ(plan.cells.front().flops, 4.0 * 3 * 16 * 128 * 55);
  // Q and O of 16 heads, K and V of 8.
  EXPECT_EQ(plan.cells.front().minimum_bytes, 3.0 * 10 * 128 * 4 * (16 + 16 + 8 + 8));
}

// A decoded token of Qwen3-0.6B: 28 layers and the tied LM head as weights, and a float32 cache whatever the
// weights are.
TEST(PlanTest, DecodingReadsWeightsAndCacheOnce) {
  const double layer = 1024.0 * (2 * 2048 + 2 * 1024 + 3 * 3072), head = 151936.0 * 1024;
  const double cache = 28.0 * 2 * 8 * 128 * 100 * 4;
  for (const auto& [dtype, bytes] : {std::pair("fp32", 4), std::pair("bf16", 2)}) {
    const Plan plan =
        PlanOf(std::string(kVariants) + "  scope: [model]\n  phase: [decode]\n  seq_len: [100]\n  dtype: [" +
               dtype + "]\n");
    EXPECT_EQ(plan.cells.front().minimum_bytes, bytes * (28 * layer + head) + cache) << dtype;
  }
}

TEST(PlanTest, CommunicationIsThatOfTheStrategy) {
  const Plan plan = PlanOf(std::string(kVariants) + "  seq_len: [32]\n  ranks: [4]\n");
  const double key_value = 2.0 * 8 * 32 * 128 * 4, output = 16.0 * 32 * 128 * 4;
  const std::vector<Case>& cases = plan.cells.front().cases;
  EXPECT_EQ(cases[0].comm_bytes_per_rank, static_cast<int64_t>(key_value * 3 / 4));
  EXPECT_EQ(cases[1].comm_bytes_per_rank, static_cast<int64_t>(output * 3 / 4));
}

// Two ranks, 8 new tokens behind 24: a ring sends keys and values of 16, a merge queries and states of 4.
TEST(PlanTest, PrefillsBehindACache) {
  const std::string grid =
      "  variant: [\"sequence(ring,contiguous)+online_softmax\", "
      "\"sequence(merge,contiguous)+online_softmax\"]\n"
      "  seq_len: [8]\n  cached_tokens: [24]\n  mask: [full]\n  ranks: [2]\n";
  const Plan plan = PlanOf(grid);
  const Cell& cell = plan.cells.front();
  EXPECT_EQ(cell.flops, 4.0 * 128 * 16 * 8 * 32);
  EXPECT_EQ(cell.cases[0].comm_bytes_per_rank, 16 * 2 * 8 * 128 * 4);
  EXPECT_EQ(cell.cases[1].comm_bytes_per_rank, 4 * 16 * (128 + 130) * 4);
  EXPECT_EQ(PlanOf("  variant: [headwise+standard]\n  seq_len: [8]\n  cached_tokens: [0]\n").cells.front().id,
            PlanOf("  variant: [headwise+standard]\n  seq_len: [8]\n").cells.front().id);
  for (const char* bad : {"  variant: [headwise+standard]\n  phase: [decode]\n",
                          "  variant: [headwise+standard]\n  scope: [block]\n",
                          "  variant: [\"sequence(ring,balanced)+online_softmax\"]\n"}) {
    EXPECT_THROW(PlanOf(bad + std::string("  seq_len: [8]\n  cached_tokens: [24]\n")), Error) << bad;
  }
}

// Without looking at every pair of ranks, which would take hours.
TEST(PlanTest, VeryManyRanksArePricedAsWithoutAMask) {
  const Plan plan = PlanOf(std::string(kVariants) + "  seq_len: [131072]\n  ranks: [65536]\n");
  EXPECT_EQ(plan.cells.front().cases[0].comm_bytes_per_rank, int64_t{2} * 8 * 128 * 4 * (131072 - 2));
}

// One row of queries: states of all heads to everyone, or a share of the outputs.
TEST(PlanTest, DecodeSendsStatesOrOutputs) {
  for (const char* contract : {"native", "replicated"}) {
    const Plan plan = PlanOf(
        "  variant: [sequence+online_softmax, headwise+online_softmax]\n  phase: [decode]\n  seq_len: [32]\n"
        "  ranks: [4]\n  contract: [" +
        std::string(contract) + "]\n");
    const std::vector<Case>& cases = plan.cells.front().cases;
    EXPECT_EQ(cases[0].comm_bytes_per_rank, 3 * 16 * 130 * 4);
    EXPECT_EQ(cases[1].comm_bytes_per_rank, 3 * 16 / 4 * 128 * 4);
  }
}

// Of 64 tokens, 63 are cached; packed sequences and windows are about all 64, in the estimates too.
TEST(PlanTest, MasksOfADecodeAreOfItsWholeLength) {
  const Plan plan = PlanOf(
      "  scope: [block, layer]\n  phase: [decode]\n  variant: [sequence+online_softmax, "
      "headwise+online_softmax]\n"
      "  seq_len: [64]\n  mask: [\"documents:30+34\", \"window:8\"]\n  ranks: [1, 2]\n");
  EXPECT_EQ(plan.cells.size(), 8u);
  for (const Cell& cell : plan.cells) EXPECT_GT(cell.memory_bytes_per_rank, 0);
}

TEST(PlanTest, StandardHoldsItsScores) {
  const Plan plan = PlanOf("  variant: [headwise+online_softmax, headwise+standard]\n  seq_len: [4096]\n");
  const std::vector<Case>& cases = plan.cells.front().cases;
  EXPECT_EQ(cases[1].memory_bytes_per_rank - cases[0].memory_bytes_per_rank, int64_t{4096} * 4096 * 4);
}

TEST(PlanTest, TileAxesMultiplyVariants) {
  const Plan plan =
      PlanOf("  variant: [headwise+online_softmax]\n  q_block: [auto, 32]\n  kv_block: [128, 256]\n");
  ASSERT_EQ(plan.cells.size(), 1u);
  std::vector<std::string> labels;
  for (const Case& made : plan.cells.front().cases) labels.push_back(made.label);
  EXPECT_EQ(labels, (std::vector<std::string>{
                        "headwise+online_softmax[kv=128]", "headwise+online_softmax[kv=256]",
                        "headwise+online_softmax[q=32,kv=128]", "headwise+online_softmax[q=32,kv=256]"}));
  EXPECT_EQ(plan.cells.front().cases[3].variant.tiles, (TileSizes{32, 256}));
}

TEST(PlanTest, ExcludeLeavesOutPointsAndVariants) {
  const Plan plan =
      PlanOf(std::string(kVariants) + "  seq_len: [8, 16]\n  ranks: [1, 2]\n",
             "exclude:\n  - {seq_len: 16, ranks: [1]}\n  - {seq_len: 8, variant: sequence+standard}\n");
  ASSERT_EQ(plan.cells.size(), 3u);
  for (const Cell& cell : plan.cells) {
    EXPECT_FALSE(cell.seq_len == 16 && cell.ranks == 1);
    EXPECT_EQ(cell.cases.size(), cell.seq_len == 8 ? 2u : 3u);
  }
}

// Every so many cells of several ranks hold a copy of a variant, which is the same code under another name.
TEST(PlanTest, ControlsAreCopies) {
  const std::string grid = std::string(kVariants) + "  seq_len: [8, 16, 24, 32, 40]\n  ranks: [1, 2]\n";
  const Plan plan = PlanOf(grid, "control: {duplicate: headwise+online_softmax, every: 2}\n");
  int copies = 0;
  for (const Cell& cell : plan.cells) {
    if (cell.cases.size() == 3) continue;
    ++copies;
    EXPECT_EQ(cell.ranks, 2);
    ASSERT_EQ(cell.cases.size(), 4u);
    const Case& copy = cell.cases.back();
    EXPECT_EQ(copy.label, "headwise+online_softmax (copy)");
    EXPECT_EQ(copy.duplicate_of, "headwise+online_softmax");
    EXPECT_EQ(copy.id, cell.id + "/" + copy.label);
    EXPECT_EQ(copy.variant, cell.cases[1].variant);
  }
  EXPECT_EQ(copies, 3);
  EXPECT_THROW(PlanOf(grid + "exclude: [{variant: headwise+online_softmax}]\n",
                      "control: {duplicate: headwise+online_softmax}\n"),
               Error);
}

TEST(PlanTest, SizesBeyond64BitsAreRefused) {
  EXPECT_THROW(PlanOf(std::string(kVariants) + "  seq_len: [16777216]\n  batch: [65536]\n  model: [{heads: "
                                               "4096, kv_heads: 4096, head_dim: 256}]\n"),
               Error);
}

TEST(PlanTest, ReportFitsAHundredColumns) {
  std::string many = "documents:1";
  for (int i = 1; i < 100; ++i) many += "+1";
  for (const std::string& grid :
       {std::string("  model: [qwen3-0.6b, qwen3-32b]\n  seq_len: [8, 65536]\n  ranks: [1, 2]\n"
                    "  contract: [native, token_sharded]\n  causal: [true, false]\n"),
        "  seq_len: [100]\n  ranks: [1, 2]\n  mask: [causal, full, {window: 64}, " + many + "]\n"}) {
    const ExperimentSpec spec = ParseExperiment("name: x\ngrid:\n" + (kVariants + grid), "x.yaml");
    const std::string report = PlanReport(spec, MakePlan(spec, {Isa::kAvx512}));
    std::istringstream lines(report);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
  }
}

// Cells that a claim compares are a bundle; a claim over variants compares inside a cell.
TEST(PlanTest, ComparedCellsAreABundle) {
  const auto plan = [](const std::string& over) {
    return MakePlan(
        ParseExperiment("name: x\ngrid:\n  variant: [headwise+online_softmax, headwise+standard]\n"
                        "  seq_len: [8, 9]\n  dtype: [fp32, bf16]\n  isa: [scalar, sse4]\n"
                        "exclude: [{dtype: bf16, seq_len: 9}]\n"
                        "measure: {rounds: 1}\nexpect:\n" +
                            over,
                        "x.yaml"),
        {Isa::kScalar});
  };
  const Plan unbundled =
      plan("  - {claim: v, over: variant, order: [headwise+online_softmax, headwise+standard]}\n");
  for (const Cell& cell : unbundled.cells) EXPECT_EQ(cell.bundle, "");
  const Plan by_type = plan("  - {claim: d, over: dtype, order: [bf16, fp32]}\n");
  std::map<std::string, std::vector<const Cell*>> bundles;
  for (size_t i = 0; i < by_type.cells.size(); ++i) {
    const Cell& cell = by_type.cells[i];
    EXPECT_EQ(cell.id, unbundled.cells[i].id) << "a claim changes no id";
    EXPECT_EQ(cell.bundle.empty(), cell.seq_len == 9) << "a cell alone is none";
    if (!cell.bundle.empty()) bundles[cell.bundle].push_back(&cell);
  }
  ASSERT_EQ(bundles.size(), 2u) << "one for each instruction set";
  for (const auto& [bundle, cells] : bundles) {
    ASSERT_EQ(cells.size(), 2u);
    EXPECT_EQ(cells[0]->isa, cells[1]->isa);
    EXPECT_NE(cells[0]->problem.data_type, cells[1]->problem.data_type);
  }
  const Plan by_both = plan(
      "  - {claim: d, over: dtype, order: [bf16, fp32]}\n  - {claim: i, over: isa, order: [sse4, scalar]}\n");
  std::set<std::string> names;
  for (const Cell& cell : by_both.cells) names.insert(cell.bundle);
  EXPECT_EQ(names.size(), 2u) << "by length: all that any claim compares goes together";
}

// A prefill attends to float32 beside an int8 cache: a layer's, as large as a float32 cache would be.
TEST(PlanTest, AnInt8CacheTakesItsRowsAndTheirScales) {
  const auto memory = [](const std::string& type, const std::string& phase) {
    return PlanOf(
               "  model: [qwen3-0.6b]\n  scope: [block]\n  variant: [headwise+online_softmax]\n  seq_len: "
               "[4096]\n"
               "  kv_cache: [" +
               type + "]\n  phase: [" + phase + "]\n")
        .cells.front()
        .memory_bytes_per_rank;
  };
  constexpr int64_t kRows = 2 * 8 * 4096, kFloatRow = 128 * 4, kInt8Row = 128 + 4;  // K and V of 8 heads
  EXPECT_NEAR(memory("int8", "decode") - memory("fp32", "decode"), kRows * (kInt8Row - kFloatRow), 1 << 12);
  EXPECT_NEAR(memory("int8", "prefill") - memory("fp32", "prefill"), kRows * kInt8Row, 1 << 12);
}

}  // namespace
}  // namespace attention
