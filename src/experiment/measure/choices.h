// Automatic variants of a plan, settled on the machine before anything is measured.
//
// A plan is made without a machine, so an automatic case stands there with the first variant there is. The
// choice is made once for a run, by the first launch that measures the case, and kept in the manifest: later
// launches and resumed ones take it from there, whatever a probe would say then, because samples of one case
// are of one variant.
#ifndef SRC_EXPERIMENT_MEASURE_CHOICES_H_
#define SRC_EXPERIMENT_MEASURE_CHOICES_H_

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "src/attention/attention_backend.h"
#include "src/experiment/ask/experiment_spec.h"
#include "src/experiment/plan/plan.h"
#include "src/machine/placement.h"
#include "src/mpi/communicator.h"
#include "src/parallel/choose/choose.h"

namespace attention {

// Collective over `world`: probes on the cell's ranks, threads and places. On ranks without a part in the
// cell the result is empty; rank 0 always has one. Throws the same Error on every rank.
Choice ChooseForCell(const Communicator& world, const Topology& topology, const Cell& cell,
                     AttentionAlgorithm algorithm, BackendFactory backend);

struct ChoiceOptions {
  BackendFactory backend = nullptr;
  // What earlier launches chose, on rank 0, as RunDirectory::Options::choices.
  nlohmann::json known = nlohmann::json::object();
  // Ids of the cells that are measured; none: all of them.
  std::optional<std::set<std::string>> only_cells;
  // Called on rank 0 before a cell is probed.
  std::function<void(const Cell& cell)> on_probe;
};

struct PlanWithChoices {
  Plan plan;
  // On rank 0, as RunDirectory::Options::choices: of every automatic case that is measured its variant, what
  // was predicted for it, and the ranking it comes from.
  nlohmann::json choices = nlohmann::json::object();
};

// Collective over `world`. Automatic cases get their variant, and cells their estimates anew. What the
// machine cannot run at all (more ranks than there are, an ISA that it lacks) is left to RunExperiment to
// refuse.
PlanWithChoices Choose(const Communicator& world, const ExperimentSpec& spec, const Plan& plan,
                       const ChoiceOptions& options);

}  // namespace attention

#endif  // SRC_EXPERIMENT_MEASURE_CHOICES_H_
