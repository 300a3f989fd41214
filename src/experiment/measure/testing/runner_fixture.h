// Runs tiny experiments on all ranks, with the float64 backend or with backends that are wrong on purpose.
#ifndef SRC_EXPERIMENT_MEASURE_TESTING_RUNNER_FIXTURE_H_
#define SRC_EXPERIMENT_MEASURE_TESTING_RUNNER_FIXTURE_H_

#include <gtest/gtest.h>
#include <mpi.h>

#include <limits>
#include <memory>
#include <string>

#include "src/attention/reference_backend.h"
#include "src/base/error.h"
#include "src/experiment/ask/experiment_file.h"
#include "src/experiment/measure/experiment_runner.h"

namespace attention {

// Passes everything on to the float64 backend and then spoils one element of one row.
template <typename Spoil>
class SpoiltBackend : public AttentionBackend {
 public:
  explicit SpoiltBackend(const BackendConfig& config) : inner_(MakeReferenceBackend(config)) {}
  std::string name() const override { return "spoilt"; }
  size_t workspace_bytes() const override { return 0; }
  TileSizes tiles() const override { return inner_->tiles(); }
  void Accumulate(const AttentionStep& step) override {
    const bool has_output = step.last && step.output.shape.tokens > 0 && step.output.shape.heads > 0;
    if (!has_output) return inner_->Accumulate(step);
    float& value = *step.output.Row<float>(0, step.output.shape.heads - 1, 0);
    const float before = value;
    inner_->Accumulate(step);
    Spoil()(value);
    if (Spoil::kForgets && has_run_) value = before;
    has_run_ = true;
  }

 private:
  std::unique_ptr<AttentionBackend> inner_;
  bool has_run_ = false;
};

struct Spoiler {
  static constexpr bool kForgets = false;
};
struct SlightlyOff : Spoiler {
  void operator()(float& value) const { value += 1e-3f; }
};
struct NotANumber : Spoiler {
  void operator()(float& value) const { value = std::numeric_limits<float>::quiet_NaN(); }
};
// Right once, and then not written any more.
struct Forgets {
  static constexpr bool kForgets = true;
  void operator()(float&) const {}
};
struct Throws : Spoiler {
  void operator()(float&) const { Fail("the backend broke"); }
};
template <typename Spoil>
std::unique_ptr<AttentionBackend> MakeSpoilt(const BackendConfig& config) {
  return std::make_unique<SpoiltBackend<Spoil>>(config);
}

class RunnerTest : public testing::Test {
 protected:
  RunnerTest() : world_(MPI_COMM_WORLD) {}

  ExperimentSpec Spec(const std::string& grid, const std::string& measure = "rounds: 3") const {
    return ParseExperiment("name: x\ngrid:\n  model: [{heads: 4, kv_heads: 2, head_dim: 16}]\n" + grid +
                               "measure: {" + measure + "}\naccuracy: {reference_rows: 8}\n",
                           "x.yaml");
  }
  RunOptions Options(BackendFactory backend = MakeReferenceBackend) const {
    RunOptions options;
    options.cell.backend = backend;
    options.cell.peak_seconds = 1e-4;
    options.cell.stop = [] { return StopRequest::kNone; };
    return options;
  }
  // The summary's rows point into the plan: until the next Run.
  RunSummary Run(const ExperimentSpec& spec, const RunOptions& options) {
    plan_ = MakePlan(spec, {Isa::kScalar});
    return RunExperiment(world_, spec, plan_, options);
  }
  std::string EveryRankCount() const {
    std::string text = "  ranks: [";
    for (int ranks = 1; ranks <= world_.size(); ++ranks)
      text += (ranks > 1 ? ", " : "") + std::to_string(ranks);
    return text + "]\n";
  }

  Communicator world_;
  Plan plan_;
};

}  // namespace attention

#endif  // SRC_EXPERIMENT_MEASURE_TESTING_RUNNER_FIXTURE_H_
