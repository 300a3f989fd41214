// The runner on tiny shapes with the float64 backend, and with backends that are wrong on purpose.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mpi.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <set>

#include "src/attention/reference_backend.h"
#include "src/base/error.h"
#include "src/experiment/ask/experiment_file.h"
#include "src/experiment/measure/experiment_runner.h"
#include "src/experiment/measure/testing/runner_fixture.h"
#include "src/experiment/workload/accuracy.h"
#include "src/kernels/attention_kernel.h"
#include "src/machine/machine_info.h"

namespace attention {
namespace {

using testing::HasSubstr;

constexpr int64_t kFreshPages = 40;

// Touches memory for the first time where it is timed.
struct TouchesFreshPages : Spoiler {
  void operator()(float&) const {
    constexpr size_t kPage = 4096;
    void* memory =
        mmap(nullptr, kFreshPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    for (int64_t page = 0; page < kFreshPages; ++page) static_cast<volatile char*>(memory)[page * kPage] = 1;
    munmap(memory, kFreshPages * kPage);
  }
};

constexpr const char* kAllFour =
    "  variant: [sequence+online_softmax, sequence+standard, headwise+online_softmax, headwise+standard]\n";

TEST_F(RunnerTest, EveryCombinationIsRightOnEveryRankCount) {
  const ExperimentSpec spec =
      Spec(std::string(kAllFour) + "  contract: [native, replicated, token_sharded]\n" +
               "  seq_len: [1, 37]\n  causal: [true, false]\n  batch: [3]\n" + EveryRankCount(),
           "rounds: 1, warmup: 0");
  const RunSummary summary = Run(spec, Options());
  EXPECT_EQ(summary.exit_status(), ExitStatus::kOk);
  if (world_.rank() != 0) return;
  EXPECT_EQ(summary.rows.size(), 4u * 3 * 2 * 2 * world_.size());
  for (const CaseRow& row : summary.rows) {
    EXPECT_EQ(row.status, CaseStatus::kOk) << row.made->id << ": " << row.message;
    EXPECT_LE(row.rel_l2_err, row.tolerance_rel_l2) << row.made->id;
    EXPECT_EQ(row.nonfinite, 0);
    EXPECT_GT(row.time_median_s, 0);
  }
}

TEST_F(RunnerTest, PeakedDataColdCachesAndCachedTokensToo) {
  const ExperimentSpec spec =
      Spec(std::string(kAllFour) +
               "  seq_len: [37]\n  cached_tokens: [0, 2, 50]\n  data: [peaked]\n  cache: [cold]\n" +
               EveryRankCount(),
           "rounds: 1");
  const RunSummary summary = Run(spec, Options());
  for (const CaseRow& row : summary.rows)
    EXPECT_EQ(row.status, CaseStatus::kOk) << row.made->id << row.message;
  EXPECT_EQ(summary.exit_status(), ExitStatus::kOk);
}

TEST_F(RunnerTest, DecodeIsRightToo) {
  const ExperimentSpec spec = Spec(
      "  variant: [sequence+online_softmax, headwise+online_softmax, headwise+standard]\n  phase: [decode]\n"
      "  seq_len: [1, 37]\n" +
          EveryRankCount(),
      "rounds: 1");
  const RunSummary summary = Run(spec, Options());
  for (const CaseRow& row : summary.rows)
    EXPECT_EQ(row.status, CaseStatus::kOk) << row.made->id << ": " << row.message;
  EXPECT_EQ(summary.exit_status(), ExitStatus::kOk);
}

TEST_F(RunnerTest, AWrongResultIsAFailedRowAndExitOne) {
  const std::map<BackendFactory, std::string> backends = {
      {MakeSpoilt<SlightlyOff>, "wrong result: rel_l2_err"},
      {MakeSpoilt<NotANumber>, "values of the output are not finite"},
      {MakeSpoilt<Throws>, "the backend broke"}};
  const ExperimentSpec spec =
      Spec("  variant: [sequence+online_softmax]\n  seq_len: [9]\n" + EveryRankCount());
  for (const auto& [backend, message] : backends) {
    const RunSummary summary = Run(spec, Options(backend));
    EXPECT_EQ(summary.exit_status(), ExitStatus::kCaseFailed);
    if (world_.rank() != 0) continue;
    ASSERT_EQ(summary.rows.size(), static_cast<size_t>(world_.size()));
    for (const CaseRow& row : summary.rows) {
      EXPECT_EQ(row.status, CaseStatus::kFailed);
      EXPECT_THAT(row.message, HasSubstr(message));
    }
  }
}

// What is not written is not mistaken for what an earlier run has left there, in a rank's own memory or in a
// part of its node's. (An all-to-all's kernel writes into room of the exchange's own.)
TEST_F(RunnerTest, AnOutputThatIsNotWrittenIsNoResult) {
  for (const char* variants :
       {"  variant: [headwise+online_softmax, headwise(shared)+online_softmax]\n",
        "  variant: [headwise(shared)+online_softmax]\n  contract: [token_sharded]\n"}) {
    const ExperimentSpec spec = Spec(variants + ("  seq_len: [9]\n" + EveryRankCount()));
    for (const auto& [backend, status] : std::map<BackendFactory, CaseStatus>{
             {MakeReferenceBackend, CaseStatus::kOk}, {MakeSpoilt<Forgets>, CaseStatus::kFailed}}) {
      for (const CaseRow& row : Run(spec, Options(backend)).rows) {
        EXPECT_EQ(row.status, status) << row.made->id << " " << row.made->label << ": " << row.message;
      }
    }
  }
}

TEST_F(RunnerTest, ASampleAboveThePeakIsAFailureNotARecord) {
  const ExperimentSpec spec = Spec("  variant: [sequence+online_softmax]\n  seq_len: [9]\n");
  Plan plan = MakePlan(spec, {Isa::kScalar});
  plan.cells.front().flops = 1e18;
  const RunSummary summary = RunExperiment(world_, spec, plan, Options());
  EXPECT_EQ(summary.exit_status(), ExitStatus::kCaseFailed);
  if (world_.rank() != 0) return;
  EXPECT_THAT(summary.rows.at(0).message, HasSubstr("is above the measured peak"));
}

TEST_F(RunnerTest, SamplesAddUp) {
  const ExperimentSpec spec =
      Spec(std::string(kAllFour) + "  seq_len: [24]\n  ranks: [" + std::to_string(world_.size()) + "]\n",
           "rounds: 5, warmup: 2");
  std::vector<SampleRow> samples;
  const Plan plan = MakePlan(spec, {Isa::kScalar});
  CellOptions options = Options().cell;
  options.measure = spec.measure;
  options.on_sample = [&](const SampleRow& row) { samples.push_back(row); };
  Communicator group(MPI_COMM_WORLD);
  const CellResult result = RunCell(group, plan.cells.front(), options);
  EXPECT_FALSE(result.stopped);
  if (world_.rank() != 0) {
    EXPECT_TRUE(samples.empty());
    return;
  }
  ASSERT_EQ(samples.size(), 20u);
  std::map<std::pair<int, int>, int> places;
  for (const SampleRow& row : samples) {
    EXPECT_EQ(++places[std::make_pair(row.round, row.order_in_round)], 1);
    EXPECT_GE(row.time_s, row.time_min_rank_s);
    EXPECT_NEAR(row.comm_exposed_s, row.time_s - row.compute_s, 1e-12);
    EXPECT_GT(row.peak_gflops, 0);
    EXPECT_GT(row.read_gb_per_s, 0);
    if (world_.size() == 1) {
      EXPECT_EQ(row.comm_total_s, 0);
    } else {
      EXPECT_GT(row.comm_total_s, 0);
    }
  }
  for (const CaseRow& row : result.cases) {
    EXPECT_EQ(row.rounds, 5);
    EXPECT_LE(row.time_low_s, row.time_median_s);
    EXPECT_LE(row.time_median_s, row.time_high_s);
  }
}

// AddressSanitizer keeps books of its own beside what is used, and touches them when that is.
#ifdef __SANITIZE_ADDRESS__
constexpr int64_t kPagesOfOthers = 16;
#else
constexpr int64_t kPagesOfOthers = 0;
#endif

TEST_F(RunnerTest, PageFaultsInTheTimedPartAreSeen) {
  const ExperimentSpec spec =
      Spec("  variant: [sequence+online_softmax, headwise+standard]\n  seq_len: [24]\n  ranks: [" +
               std::to_string(world_.size()) + "]\n",
           "rounds: 5, warmup: 1");
  for (const CaseRow& row : Run(spec, Options(MakeAttentionKernel)).rows) {
    EXPECT_LE(row.page_faults, kPagesOfOthers * world_.size()) << row.made->id;
    EXPECT_EQ(row.backend, "highway");
  }
  for (const CaseRow& row : Run(spec, Options(MakeSpoilt<TouchesFreshPages>)).rows) {
    EXPECT_GE(row.page_faults, kFreshPages * world_.size()) << row.made->id;
    EXPECT_EQ(row.backend, "spoilt");
  }
}

TEST_F(RunnerTest, ThePilotChoosesAndIsNotUsed) {
  const ExperimentSpec spec =
      Spec("  variant: [sequence+online_softmax, headwise+online_softmax]\n  seq_len: [8]\n",
           "rounds: auto, max_rounds: 17");
  CellOptions options = Options().cell;
  options.measure = spec.measure;
  std::map<int, int> rounds;
  options.on_sample = [&](const SampleRow& row) { ++rounds[row.round]; };
  if (world_.rank() != 0) return;
  Communicator self(MPI_COMM_SELF);
  const Plan plan = MakePlan(spec, {Isa::kScalar});
  const CellResult result = RunCell(self, plan.cells.front(), options);
  EXPECT_EQ(rounds.begin()->first, -10);
  const int measured = result.cases[0].rounds;
  EXPECT_GE(measured, 15);
  EXPECT_LE(measured, 17);
  EXPECT_EQ(rounds.rbegin()->first, measured - 1);
  EXPECT_EQ(static_cast<int>(rounds.size()), measured + 10);
}

// No pilot: the first runs, which every variant needs, say how many rounds there is time for. Limits once.
TEST_F(RunnerTest, RoundsByTimeAndLimitsOfALaunch) {
  const ExperimentSpec spec = Spec(
      "  variant: [sequence+online_softmax, headwise+online_softmax]\n  seq_len: [8]\n",
      "rounds: auto, pilot_rounds: 0, min_rounds: 2, max_rounds: 6, seconds_per_cell: 100, limits: launch");
  CellOptions options = Options().cell;
  options.measure = spec.measure;
  options.check_results = false;
  std::set<double> peaks;
  int samples = 0;
  options.on_sample = [&](const SampleRow& row) {
    ++samples;
    peaks.insert(row.peak_gflops);
    EXPECT_GE(row.involuntary_switches, 0);
    EXPECT_GE(row.steal_s, 0);
    EXPECT_GE(row.barrier_skew_s, 0);
  };
  Communicator self(MPI_COMM_SELF);
  const Plan plan = MakePlan(spec, {Isa::kScalar});
  const CellResult result = RunCell(self, plan.cells.front(), options);
  EXPECT_EQ(samples, 12);
  EXPECT_EQ(peaks.size(), 1u);
  for (const CaseRow& row : result.cases) {
    EXPECT_EQ(row.rounds, 6);
    EXPECT_EQ(row.status, CaseStatus::kOk);
    EXPECT_TRUE(std::isnan(row.rel_l2_err)) << "not checked in this launch";
  }
}

// Those of the first launch and of each one before a look are checked: that of a cell that drops out is.
TEST_F(RunnerTest, TheFirstAndTheLastLaunchAreChecked) {
  ExperimentSpec spec = Spec("  variant: [headwise+online_softmax]\n  seq_len: [8]\n", "rounds: 1");
  spec.looks = {3, 5};
  for (int launch = 0; launch < 5; ++launch) {
    RunOptions options = Options(MakeSpoilt<SlightlyOff>);
    options.cell.launch = launch;
    const bool is_checked = launch == 0 || launch == 2 || launch == 4;
    EXPECT_EQ(Run(spec, options).exit_status(), is_checked ? ExitStatus::kCaseFailed : ExitStatus::kOk)
        << launch;
  }
}

TEST_F(RunnerTest, OnlyTheCellsAskedFor) {
  const ExperimentSpec spec =
      Spec("  variant: [headwise+online_softmax]\n  seq_len: [8, 9, 10]\n", "rounds: 1");
  RunOptions options = Options();
  options.only_cells = {MakePlan(spec, {Isa::kScalar}).cells[1].id};
  const RunSummary summary = Run(spec, options);
  EXPECT_EQ(summary.cells_run, 1);
  for (const CaseRow& row : summary.rows) EXPECT_EQ(row.cell->seq_len, 9);
}

// A cell whose budget is too small for the pilot still has a number of rounds fixed before the test.
TEST_F(RunnerTest, TheBudgetCapsTheRounds) {
  const ExperimentSpec spec =
      Spec("  variant: [sequence+online_softmax, headwise+online_softmax]\n  seq_len: [64]\n",
           "rounds: auto, min_rounds: 3, seconds_per_cell: 0.01");
  const RunSummary summary = Run(spec, Options());
  EXPECT_EQ(summary.exit_status(), ExitStatus::kOk);
  for (const CaseRow& row : summary.rows) {
    EXPECT_EQ(row.status, CaseStatus::kOk) << row.message;
    EXPECT_GE(row.rounds, 3);
    EXPECT_LT(row.rounds, 200);
  }
}

TEST_F(RunnerTest, TheTimeLimitIsSaid) {
  const ExperimentSpec spec = Spec("  variant: [sequence+online_softmax]\n  seq_len: [64]\n",
                                   "rounds: 100000, max_seconds_per_cell: 0.05");
  const RunSummary summary = Run(spec, Options());
  EXPECT_EQ(summary.exit_status(), ExitStatus::kOk);
  if (world_.rank() != 0) return;
  EXPECT_EQ(summary.rows.at(0).status, CaseStatus::kTimeLimited);
  EXPECT_THAT(summary.rows.at(0).message, HasSubstr("max_seconds_per_cell (0.05) came after"));
  EXPECT_GE(summary.rows.at(0).rounds, 1);
}

// The signal reaches one rank, perhaps one that idles; all stop, and the cell is not complete.
TEST_F(RunnerTest, AStopRequestOfAnyRankStopsAll) {
  const ExperimentSpec spec = Spec("  variant: [sequence+online_softmax]\n  seq_len: [8, 9, 10]\n");
  RunOptions options = Options();
  const bool last_rank = world_.rank() + 1 == world_.size();
  options.cell.stop = [=] { return last_rank ? StopRequest::kNow : StopRequest::kNone; };
  const RunSummary summary = Run(spec, options);
  EXPECT_EQ(summary.exit_status(), ExitStatus::kInterrupted);
  EXPECT_LE(summary.rows.size(), 1u);
}

TEST_F(RunnerTest, MoreRanksThanStartedIsBadUsageOnEveryRank) {
  const ExperimentSpec spec =
      Spec("  variant: [sequence+online_softmax]\n  ranks: [" + std::to_string(world_.size() + 1) + "]\n");
  try {
    Run(spec, Options());
    ADD_FAILURE() << "it ran";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::kBadUsage);
    EXPECT_THAT(error.what(), HasSubstr("ranks asked, but " + std::to_string(world_.size()) + " started"));
    EXPECT_THAT(error.what(), HasSubstr("x.yaml:5:11: grid.ranks"));
  }
}

TEST_F(RunnerTest, AnIsaTheCpuLacksIsRefused) {
  const ExperimentSpec spec = Spec("  variant: [sequence+online_softmax]\n  isa: [avx512]\n");
  const Topology topology{{{.host = "host", .ranks = {0}, .cpus = {0}}}, {"0"}};
  try {
    CheckPlanAgainstMachine(MakePlan(spec, {Isa::kScalar}), topology, 1, {Isa::kScalar, Isa::kSse4}, 0);
    ADD_FAILURE() << "it was let through";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::kBadUsage);
    EXPECT_STREQ(error.what(), "isa: this CPU lacks avx512, it has scalar, sse4");
  }
}

TEST_F(RunnerTest, TooMuchMemoryIsRefusedBeforeAnythingRuns) {
  const ExperimentSpec spec = Spec("  variant: [headwise+standard]\n  seq_len: [16777216]\n");
  try {
    Run(spec, Options());
    ADD_FAILURE() << "it ran";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::kBadUsage);
    EXPECT_THAT(error.what(), HasSubstr("of memory on a node"));
    EXPECT_THAT(error.what(), HasSubstr("shorten seq_len"));
  }
}

// What does not fit is left out, with both numbers in its rows; the rest goes on.
TEST_F(RunnerTest, ACellThatDoesNotFitIsSkipped) {
  const ExperimentSpec spec = Spec(
      "  variant: [headwise+standard, headwise+online_softmax]\n  seq_len: [16777216, 8]\n", "rounds: 1");
  const RunSummary summary = Run(spec, Options());
  EXPECT_EQ(summary.exit_status(), ExitStatus::kOk);
  EXPECT_EQ(summary.cells_run, 2);
  if (world_.rank() != 0) return;
  ASSERT_EQ(summary.rows.size(), 4u);
  for (const CaseRow& row : summary.rows) {
    const bool fits = row.cell->seq_len == 8;
    EXPECT_EQ(row.status, fits ? CaseStatus::kOk : CaseStatus::kSkippedMemory);
    EXPECT_EQ(row.rounds, fits ? 1 : 0);
    if (fits) continue;
    EXPECT_THAT(row.message, testing::ContainsRegex("needs about .* of memory on a node, which has"));
  }
}

int64_t TimesThatThisProcessSlept() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nvcsw;
}

// Ranks that are not in a case must leave the cores to those that are. Sleeping is what is asked for: how
// much of a core a rank gets that spins depends on who else wants it, and yielding it in a loop is no sleep.
TEST_F(RunnerTest, IdleRanksSleep) {
  if (world_.size() == 1) return;
  const ExperimentSpec spec = Spec("  variant: [sequence+online_softmax]\n  seq_len: [192]\n  ranks: [1]\n",
                                   "rounds: 100000, max_seconds_per_cell: 2");
  const double cpu_begin = ProcessCpuSeconds(), begin = NowSeconds();
  const int64_t slept = TimesThatThisProcessSlept();
  Run(spec, Options());
  const double seconds = NowSeconds() - begin;
  if (world_.rank() == 0) return;
  // It looks 2000 times a second, some microseconds each; on a busy machine it gets its turn later.
  EXPECT_GT(static_cast<double>(TimesThatThisProcessSlept() - slept) / seconds, 20);
  EXPECT_LT((ProcessCpuSeconds() - cpu_begin) / seconds, 0.25);
}

TEST_F(RunnerTest, AFullDiskStopsEveryRank) {
  // /dev/full takes no byte: the first sample cannot be kept.
  const ExperimentSpec spec = Spec("  variant: [sequence+online_softmax]\n  seq_len: [8]\n  ranks: [" +
                                   std::to_string(world_.size()) + "]\n");
  CellOptions options = Options().cell;
  options.measure = spec.measure;
  options.on_sample = [](const SampleRow&) { Fail("cannot write samples.csv: No space left on device"); };
  Communicator group(MPI_COMM_WORLD);
  const Plan plan = MakePlan(spec, {Isa::kScalar});
  EXPECT_THROW(RunCell(group, plan.cells.front(), options), Error);
}

}  // namespace
}  // namespace attention
