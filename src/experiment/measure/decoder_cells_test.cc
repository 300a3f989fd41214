// Cells of decoders, prefill and decode, every mask, measured as users' are: right on every number of ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mpi.h>

#include <string>

#include "src/experiment/ask/experiment_file.h"
#include "src/experiment/measure/experiment_runner.h"
#include "src/kernels/attention_kernel.h"

namespace attention {
namespace {

class DecoderCellsTest : public testing::Test {
 protected:
  DecoderCellsTest() : world_(MPI_COMM_WORLD) {}

  // `most_err`: of rel_l2_err, beside the cells' own tolerance.
  void ExpectRight(const std::string& grid, double most_err = 1) {
    std::string ranks = "1";
    for (int count = 2; count <= world_.size(); ++count) ranks += ", " + std::to_string(count);
    const ExperimentSpec spec =
        ParseExperiment("name: x\n" + grid +
                            "  model: [qwen3-0.6b]\n"
                            "  variant: [sequence+online_softmax, headwise+online_softmax]\n"
                            "  ranks: [" +
                            ranks +
                            "]\n"
                            "measure: {rounds: 1, warmup: 0, parts: false}\n"
                            "accuracy: {reference_rows: 4}\n",
                        "x.yaml");
    RunOptions options;
    options.cell.backend = MakeAttentionKernel;
    options.cell.peak_seconds = 1e-4;
    options.cell.stop = [] { return StopRequest::kNone; };
    const Plan plan = MakePlan(spec, {BestIsa()});
    const RunSummary summary = RunExperiment(world_, spec, plan, options);
    EXPECT_EQ(summary.exit_status(), ExitStatus::kOk);
    if (world_.rank() != 0) return;
    EXPECT_EQ(summary.rows.size(), plan.case_count());
    for (const CaseRow& row : summary.rows) {
      EXPECT_EQ(row.status, CaseStatus::kOk) << row.made->id << ": " << row.message;
      EXPECT_LT(row.rel_l2_err, most_err) << row.made->id;
    }
  }

  Communicator world_;
};

TEST_F(DecoderCellsTest, Prefill) {
  ExpectRight("scope: block\ngrid:\n  seq_len: [1, 37]\n  mask: [causal, full, \"window:3\"]\n");
}

// A window hides most of what is cached, so it matters on which rank a token lies.
TEST_F(DecoderCellsTest, DecodeOfABlock) {
  ExpectRight(
      "scope: block\nphase: decode\ngrid:\n  batch: [2]\n  seq_len: [1, 2, 9, 37]\n"
      "  mask: [causal, \"window:3\"]\n");
}

TEST_F(DecoderCellsTest, DecodeOfALayer) {
  ExpectRight("scope: layer\nphase: decode\ngrid:\n  seq_len: [1, 37]\n  mask: [causal, \"window:3\"]\n");
}

// Input and output projection round their inputs, the first of which both sides have to the bit. Rounded at
// other places, or not at all, a block is off by 2^-9 / sqrt(3) on average.
TEST_F(DecoderCellsTest, ActivationsOfABlockAreRoundedWhereTheReferenceRounds) {
  for (const char* phase : {"prefill", "decode"}) {
    ExpectRight(std::string("scope: block\nphase: ") + phase +
                    "\ndtype: bf16\ngrid:\n  activations: [bf16]\n  isa: [scalar, auto]\n  seq_len: [13]\n",
                0x1p-12);
  }
}

TEST_F(DecoderCellsTest, ActivationsAndCacheOfALayer) {
  for (const char* phase : {"prefill", "decode"}) {
    ExpectRight(
        std::string("scope: layer\nphase: ") + phase +
        "\ndtype: bf16\ngrid:\n  activations: [fp32, bf16]\n  kv_cache: [fp32, bf16]\n  seq_len: [1, 37]\n");
  }
}

// A decoded token is compared with float64 on the rows that its cache holds, but for an element in a million,
// whose quotient float32 rounds to a half. Its own key and value may be rounded otherwise here and there: a
// step of 1/127 in one key among many, or among two. Without a scale, or with another row's, the error is of
// the size of the result.
TEST_F(DecoderCellsTest, Int8CacheOfABlock) {
  const std::string decode = "scope: block\nphase: decode\ngrid:\n  kv_cache: [int8]\n  batch: [2]\n";
  ExpectRight(decode + "  isa: [scalar, auto]\n  seq_len: [150]\n", 0x1p-11);
  ExpectRight(decode + "  seq_len: [2, 37]\n  mask: [causal, \"window:3\"]\n", 0x1p-8);
  ExpectRight("scope: block\ngrid:\n  kv_cache: [int8]\n  batch: [2]\n  seq_len: [1, 37]\n", 0x1p-8);
}

// The cache's type is not the weights'.
TEST_F(DecoderCellsTest, CacheOfABlock) {
  for (const char* phase : {"prefill", "decode"}) {
    ExpectRight(std::string("scope: block\nphase: ") + phase +
                    "\ngrid:\n  kv_cache: [bf16]\n  isa: [scalar, auto]\n  batch: [2]\n  seq_len: [13]\n"
                    "  mask: [causal, \"window:3\"]\n",
                0x1p-9);
  }
}

}  // namespace
}  // namespace attention
