// Cells that a claim compares take turns, round by round.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/experiment/measure/testing/runner_fixture.h"

namespace attention {
namespace {

// What a claim compares across cells is measured in the same minutes: round by round, on any ranks.
class TurnsTest : public RunnerTest {
 protected:
  ExperimentSpec TurnsSpec() const {
    return ParseExperiment(
        "name: x\ngrid:\n  model: [{heads: 4, kv_heads: 2, head_dim: 16}]\n"
        "  variant: [headwise+online_softmax]\n  seq_len: [8, 9]\n  causal: [true, false]\n" +
            EveryRankCount() +
            "measure: {rounds: 4, order_seed: 1}\naccuracy: {reference_rows: 8}\n"
            "expect: [{claim: c, over: ranks, order: [1" +
            (world_.size() > 1 ? ", 2" : "") + "]}]\n",
        "x.yaml");
  }
};

TEST_F(TurnsTest, RoundByRound) {
  if (world_.size() == 1) return;  // no claim orders one value
  RunOptions options = Options();
  std::map<std::pair<int64_t, std::string>, std::vector<std::pair<int, std::string>>> rounds;  // by bundle
  std::map<std::string, const Cell*> cells;
  const ExperimentSpec spec = TurnsSpec();
  const Plan plan = MakePlan(spec, {Isa::kScalar});
  for (const Cell& cell : plan.cells) cells[cell.id] = &cell;
  options.cell.on_sample = [&](const SampleRow& row) {
    const Cell& cell = *cells.at(row.cell);
    rounds[{cell.seq_len, cell.bundle}].push_back({row.round, row.cell});
  };
  const RunSummary summary = RunExperiment(world_, spec, plan, options);
  EXPECT_EQ(summary.exit_status(), ExitStatus::kOk);
  EXPECT_EQ(summary.cells_run, 4 * world_.size());
  if (world_.rank() != 0) return;
  ASSERT_EQ(rounds.size(), 4u) << "two lengths, two masks; ranks share a bundle";
  std::set<std::string> first_ones;
  for (const auto& [key, taken] : rounds) {
    const size_t members = static_cast<size_t>(world_.size());
    ASSERT_EQ(taken.size(), 4 * members);
    for (size_t round = 0; round < 4; ++round) {
      std::set<std::string> in_round;
      for (size_t i = round * members; i < (round + 1) * members; ++i) {
        EXPECT_EQ(taken[i].first, static_cast<int>(round));
        in_round.insert(taken[i].second);
      }
      EXPECT_EQ(in_round.size(), members) << "every cell once in a round";
      first_ones.insert(taken[round * members].second);
    }
  }
  EXPECT_GT(first_ones.size(), 4u) << "not always the same one first";
  for (const CaseRow& row : summary.rows) EXPECT_EQ(row.bundle, row.cell->bundle) << row.made->id;
}

TEST_F(TurnsTest, AMemberThatIsMeasuredAloneSaysSo) {
  if (world_.size() == 1) return;
  const ExperimentSpec spec = TurnsSpec();
  RunOptions options = Options();
  options.only_cells = {MakePlan(spec, {Isa::kScalar}).cells.front().id};
  const RunSummary summary = Run(spec, options);
  for (const CaseRow& row : summary.rows) {
    EXPECT_EQ(row.bundle, "");
    EXPECT_EQ(row.rounds, 4);
  }
}

TEST_F(TurnsTest, AFailedMemberLeavesTheOthers) {
  if (world_.size() == 1) return;
  const RunSummary summary = Run(TurnsSpec(), Options(MakeSpoilt<Throws>));
  EXPECT_EQ(summary.exit_status(), ExitStatus::kCaseFailed);
  EXPECT_EQ(summary.cells_run, 4 * world_.size());
}

// Between rounds, also on a rank that has no part in the cell at work: no cell of the turn is complete then.
TEST_F(TurnsTest, AStopRequestEndsTheWholeTurn) {
  if (world_.size() == 1) return;
  for (const StopRequest request : {StopRequest::kAfterRound, StopRequest::kNow}) {
    RunOptions options = Options();
    const bool last_rank = world_.rank() + 1 == world_.size();
    int asked = 0;
    options.cell.stop = [&] { return last_rank && ++asked > 3 ? request : StopRequest::kNone; };
    const RunSummary summary = Run(TurnsSpec(), options);
    EXPECT_EQ(summary.exit_status(), ExitStatus::kInterrupted);
    EXPECT_TRUE(summary.rows.empty());
  }
}

}  // namespace
}  // namespace attention
