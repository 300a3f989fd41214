// Automatic variants: settled once for a run, on every rank the same, and right.
#include "src/experiment/measure/choices.h"

#include <gtest/gtest.h>
#include <mpi.h>

#include <filesystem>
#include <map>
#include <string>

#include "src/base/error.h"
#include "src/experiment/ask/experiment_file.h"
#include "src/experiment/measure/experiment_runner.h"
#include "src/kernels/attention_kernel.h"

namespace attention {
namespace {

namespace fs = std::filesystem;

class ChoicesTest : public testing::Test {
 protected:
  ChoicesTest() : world_(MPI_COMM_WORLD) {
    std::string path;
    if (world_.rank() == 0) {
      std::string name = fs::temp_directory_path() / "choices.XXXXXX";
      path = mkdtemp(name.data());
    }
    directory_ = world_.Broadcast(path, 0);
  }
  ~ChoicesTest() override {
    world_.Barrier();
    if (world_.rank() == 0) fs::remove_all(directory_);
  }

  ExperimentSpec Made(const std::string& variants) const {
    std::string ranks;
    for (int count = 1; count <= world_.size(); ++count)
      ranks += (count > 1 ? ", " : "") + std::to_string(count);
    return ParseExperiment("name: x\ngrid:\n  model: [{heads: 4, kv_heads: 2, head_dim: 16}]\n  variant: " +
                               variants + "\n  seq_len: [40]\n  ranks: [" + ranks +
                               "]\nmeasure: {rounds: 3}\naccuracy: {reference_rows: 8}\n",
                           "x.yaml");
  }

  PlanWithChoices Chosen(const ExperimentSpec& spec, const nlohmann::json& known) const {
    ChoiceOptions options;
    options.backend = MakeAttentionKernel;
    options.known = known;
    return Choose(world_, spec, MakePlan(spec, {BestIsa()}), options);
  }

  RunSummary Run(const ExperimentSpec& spec, const PlanWithChoices& chosen, int launch) const {
    RunOptions options;
    options.cell.backend = MakeAttentionKernel;
    options.cell.peak_seconds = 1e-4;
    options.cell.launch = launch;
    options.cell.stop = [] { return StopRequest::kNone; };
    options.directory.emplace();
    options.directory->path = directory_ + "/run";
    options.directory->launch = launch;
    options.directory->build_info = {{"git_revision", "r"}};
    options.directory->choices = chosen.choices;
    return RunExperiment(world_, spec, chosen.plan, options);
  }

  Communicator world_;
  std::string directory_;
};

// By case id.
std::map<std::string, std::string> VariantsOf(const Plan& plan) {
  std::map<std::string, std::string> variants;
  for (const Cell& cell : plan.cells) {
    for (const Case& made : cell.cases) variants[made.id] = Name(made.variant);
  }
  return variants;
}

TEST_F(ChoicesTest, EveryRankHasTheSameValidVariant) {
  const PlanWithChoices chosen = Chosen(Made("[auto, auto+standard, headwise+online_softmax]"), {});
  std::string all;
  size_t automatic = 0;
  for (const Cell& cell : chosen.plan.cells) {
    for (const Case& made : cell.cases) {
      EXPECT_EQ(WhyInvalid(made.variant, cell.contract, cell.phase), "") << made.id;
      EXPECT_EQ(made.is_auto, made.label.starts_with("auto"));
      EXPECT_EQ(made.variant.algorithm, made.label == "auto+standard" ? AttentionAlgorithm::kStandard
                                                                      : AttentionAlgorithm::kOnlineSoftmax);
      all += made.id + " " + Name(made.variant) + "\n";
      automatic += made.is_auto;
    }
  }
  EXPECT_EQ(world_.Broadcast(all, 0), all);
  EXPECT_EQ(chosen.choices.size(), world_.rank() == 0 ? automatic : 0);
  for (const auto& [id, choice] : chosen.choices.items()) {
    EXPECT_EQ(choice["variant"], choice["ranking"][0]["variant"]) << id;
    EXPECT_GT(choice["predicted_s"].get<double>(), 0);
  }
}

// Each launch takes what the first one chose, though the probe may say otherwise.
TEST_F(ChoicesTest, ARunKeepsItsChoice) {
  const ExperimentSpec spec = Made("[auto]");
  PlanWithChoices first = Chosen(spec, nlohmann::json::object());
  // The last in the ranking, as if the probe had said so.
  nlohmann::json known = first.choices;
  for (auto& [id, choice] : known.items()) choice["variant"] = choice["ranking"].back()["variant"];
  first = Chosen(spec, known);
  EXPECT_EQ(first.choices, known);
  const RunSummary summary = Run(spec, first, 0);
  EXPECT_EQ(summary.exit_status(), ExitStatus::kOk);
  for (const CaseRow& row : summary.rows) EXPECT_EQ(row.status, CaseStatus::kOk) << row.message;

  const nlohmann::json kept =
      world_.rank() == 0 ? ReadChoices(directory_ + "/run") : nlohmann::json::object();
  EXPECT_EQ(kept, known);
  const PlanWithChoices second = Chosen(spec, kept);
  EXPECT_EQ(VariantsOf(second.plan), VariantsOf(first.plan));
  EXPECT_EQ(Run(spec, second, 1).exit_status(), ExitStatus::kOk);

  // What differs in one directory is refused, by all.
  PlanWithChoices other = second;
  for (auto& [id, choice] : other.choices.items()) choice["variant"] = "sequence(none,zigzag)+standard";
  try {
    Run(spec, other, 2);
    FAIL() << "two variants are one case";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("in its other launches"), std::string::npos) << error.what();
  }
}

TEST_F(ChoicesTest, WhatAManifestSaysIsChecked) {
  const ExperimentSpec spec = Made("[auto]");
  nlohmann::json known = Chosen(spec, nlohmann::json::object()).choices;
  for (const char* wrong :
       {"headwise(none,contiguous)+online_softmax", "auto", "nonsense", "sequence(ring,zigzag)+standard"}) {
    for (auto& [id, choice] : known.items()) choice["variant"] = wrong;
    EXPECT_THROW(Chosen(spec, known), Error) << wrong;
  }
}

TEST_F(ChoicesTest, AFailingProbeIsEverybodysError) {
  ChoiceOptions options;
  options.backend = [](const BackendConfig& config) -> std::unique_ptr<AttentionBackend> {
    int rank = 0, size = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (rank == size - 1) FailUsage("no kernel here");
    return MakeAttentionKernel(config);
  };
  const ExperimentSpec spec = Made("[auto]");
  EXPECT_THROW(Choose(world_, spec, MakePlan(spec, {BestIsa()}), options), Error);
}

}  // namespace
}  // namespace attention
