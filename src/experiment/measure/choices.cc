#include "src/experiment/measure/choices.h"

#include <algorithm>
#include <map>
#include <vector>

#include "src/base/error.h"
#include "src/experiment/ask/variant_spec.h"
#include "src/experiment/plan/case_cost.h"
#include "src/experiment/plan/memory_cost.h"
#include "src/mpi/agreement.h"
#include "src/simd/isa.h"

namespace attention {
namespace {

nlohmann::json ToJson(const LinkRate& rate) {
  return {{"latency_s", rate.latency_s},
          {"bytes_per_second", rate.bytes_per_second},
          {"unhidden", rate.unhidden}};
}

nlohmann::json ToJson(const Choice& choice) {
  nlohmann::json ranking = nlohmann::json::array();
  for (const Prediction& prediction : choice.ranking) {
    ranking.push_back({{"variant", Name(prediction.variant)},
                       {"predicted_s", prediction.seconds},
                       {"compute_s", prediction.compute_s},
                       {"exchange_s", prediction.exchange_s},
                       {"comm_bytes_per_rank", prediction.bytes}});
  }
  return {{"variant", Name(choice.variant())},
          {"predicted_s", choice.ranking.front().seconds},
          {"ranking", ranking},
          {"within_node", ToJson(choice.rates.within_node)},
          {"across_nodes", ToJson(choice.rates.across_nodes)}};
}

// By rank of the cell's group.
std::vector<int> NodesOf(const Assignment& assignment) {
  std::vector<int> nodes;
  for (const Assignment::Member& member : assignment.members) nodes.push_back(member.node);
  return nodes;
}

// `text` is Name() of a variant, from a manifest, which anybody may have edited.
Variant KnownVariant(const Cell& cell, const Case& made, const std::string& text) {
  const VariantSpec spec = ParseVariantSpec(text);
  const Variant variant = ResolveVariant(spec, cell.contract, cell.phase, cell.problem.mask);
  const std::vector<Variant> candidates = Candidates(made.variant.algorithm, cell.contract, cell.phase);
  if (spec.is_auto || std::find(candidates.begin(), candidates.end(), variant) == candidates.end()) {
    FailUsage("manifest.json: choices: ", made.id, ": ", text.substr(0, 60),
              " is none of what it is chosen from");
  }
  return variant;
}

class Chooser {
 public:
  Chooser(const Communicator& world, const ExperimentSpec& spec, const ChoiceOptions& options)
      : world_(world), spec_(spec), options_(options), topology_(DiscoverTopology(world)) {}

  void Settle(Cell& cell, nlohmann::json& choices) {
    std::map<AttentionAlgorithm, nlohmann::json> of_cell;  // copies of a variant are the same variant
    bool is_settled = false;
    for (Case& made : cell.cases) {
      if (!made.is_auto) continue;
      const AttentionAlgorithm algorithm = made.variant.algorithm;
      if (of_cell.count(algorithm) == 0) of_cell[algorithm] = ChoiceFor(cell, made);
      const std::string name =
          world_.Broadcast(world_.rank() == 0 ? of_cell[algorithm]["variant"].get<std::string>() : "", 0);
      const TileSizes tiles = made.variant.tiles;
      AgreeOnErrors(world_, [&] { made.variant = KnownVariant(cell, made, name); });
      made.variant.tiles = tiles;
      if (world_.rank() == 0) choices[made.id] = of_cell[algorithm];
      is_settled = true;
    }
    if (!is_settled) return;
    EstimateCosts(cell, spec_.measure);
    EstimateMemory(cell, spec_);
  }

 private:
  // What is known, or found out; on rank 0.
  nlohmann::json ChoiceFor(const Cell& cell, const Case& made) const {
    const bool is_known = world_.rank() == 0 && options_.known.contains(made.id);
    if (world_.Max(int64_t{is_known}) != 0) return is_known ? options_.known[made.id] : nlohmann::json();
    if (world_.rank() == 0 && options_.on_probe) options_.on_probe(cell);
    const Choice choice = ChooseForCell(world_, topology_, cell, made.variant.algorithm, options_.backend);
    return world_.rank() == 0 ? ToJson(choice) : nlohmann::json();
  }

  const Communicator& world_;
  const ExperimentSpec& spec_;
  const ChoiceOptions& options_;
  Topology topology_;
};

}  // namespace

Choice ChooseForCell(const Communicator& world, const Topology& topology, const Cell& cell,
                     AttentionAlgorithm algorithm, BackendFactory backend) {
  const Assignment assignment = AssignRanks(topology, cell.ranks, cell.threads, cell.placement);
  std::optional<Place> place;
  std::optional<Error> error;
  Choice choice;
  try {
    place = TakePlace(world, assignment, cell.threads);
  } catch (const Error& caught) {
    error = caught;
  }
  const auto agree = [&] {
    AgreeOnErrors(world, [&] {
      if (error) throw *error;
    });
  };
  agree();
  ExecutionOptions options;
  options.isa = cell.isa;
  options.threads = cell.threads;
  options.backend = backend;
  try {
    if (place) {
      choice =
          ChooseVariant(place->group, NodesOf(assignment), cell.problem, algorithm, cell.contract, options);
    }
  } catch (const Error& caught) {
    error = caught;
  }
  world.SleepingBarrier();
  agree();
  return choice;
}

PlanWithChoices Choose(const Communicator& world, const ExperimentSpec& spec, const Plan& plan,
                       const ChoiceOptions& options) {
  PlanWithChoices result = {plan, nlohmann::json::object()};
  if (!plan.has_automatic_cases()) return result;
  Chooser chooser(world, spec, options);
  for (Cell& cell : result.plan.cells) {
    if (options.only_cells && options.only_cells->count(cell.id) == 0) continue;
    const bool can_run = cell.ranks <= world.size() && IsSupported(cell.isa);
    if (world.Min(int64_t{can_run}) != 0) chooser.Settle(cell, result.choices);
  }
  return result;
}

}  // namespace attention
