// The one model of a command that runs nothing else: planned, checked against the machine, placed, loaded.
#ifndef SRC_EXPERIMENT_COMMANDS_PLACED_MODEL_H_
#define SRC_EXPERIMENT_COMMANDS_PLACED_MODEL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "src/attention/attention_backend.h"
#include "src/experiment/ask/experiment_spec.h"
#include "src/experiment/measure/experiment_runner.h"
#include "src/experiment/plan/plan.h"
#include "src/experiment/workload/decoder_workload.h"
#include "src/mpi/communicator.h"
#include "src/qwen3/decoder/model.h"

namespace attention {

class PlacedModel {
 public:
  // Collective over `world`, all of which take part and which must outlive this. The spec has one cell, of
  // scope model; its weights are attached. Throws the same Error on every rank if the machine does not do.
  PlacedModel(const Communicator& world, const ExperimentSpec& spec, BackendFactory backend);
  PlacedModel(const PlacedModel&) = delete;
  PlacedModel& operator=(const PlacedModel&) = delete;

  const Cell& cell() const { return plan_.cells.front(); }
  Communicator& group() { return place_->group; }
  // What runs, in a line.
  std::string Describe() const;

  // Collective. Loads the weights; `progress` (may be empty) gets a line a second meanwhile, on rank 0. The
  // model has batch 1, room for so many tokens, and must not outlive this.
  std::unique_ptr<Qwen3Model> Load(int64_t max_tokens,
                                   const std::function<void(const std::string&)>& progress);

 private:
  const Communicator* world_;
  BackendFactory backend_;
  Plan plan_;
  std::optional<Place> place_;
  std::unique_ptr<CellWeights> weights_;
};

// Collective. Runs it, and how long that took on the slowest rank.
double TimeOnAllRanks(const Communicator& world, const std::function<void()>& function);

// "WHAT 1.2345 s, N tokens, R tokens/s\n".
std::string RateLine(const char* what, double seconds, int64_t tokens);

}  // namespace attention

#endif  // SRC_EXPERIMENT_COMMANDS_PLACED_MODEL_H_
