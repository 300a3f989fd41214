#include "src/experiment/commands/placed_model.h"

#include <cstdio>

#include "src/base/error.h"
#include "src/machine/cgroup_limits.h"
#include "src/machine/machine_info.h"
#include "src/machine/placement.h"
#include "src/mpi/agreement.h"
#include "src/simd/isa.h"

namespace attention {

PlacedModel::PlacedModel(const Communicator& world, const ExperimentSpec& spec, BackendFactory backend)
    : world_(&world), backend_(backend), plan_(MakePlan(spec, {BestIsa()})) {
  const Topology topology = DiscoverTopology(world);
  const int64_t available = world.Min(AvailableMemoryBytes());
  // One cell: if it does not fit, that is an error.
  AgreeOnErrors(world,
                [&] { CheckPlanAgainstMachine(plan_, topology, world.size(), SupportedIsas(), available); });
  const Assignment assignment = AssignRanks(topology, cell().ranks, cell().threads, cell().placement);
  place_ = TakePlace(world, assignment, cell().threads);
}

std::string PlacedModel::Describe() const {
  const std::string weights = cell().weights != nullptr
                                  ? "weights " + cell().weights->path
                                  : "seeded weights (seed " + std::to_string(cell().seed) + ")";
  return internal::Concatenate(cell().model.name, ", ", weights, ", ", Name(cell().problem.data_type), "; ",
                               cell().cases.front().label, ", ", cell().ranks, " ranks x ", cell().threads,
                               " threads, ", Name(cell().isa));
}

std::unique_ptr<Qwen3Model> PlacedModel::Load(int64_t max_tokens,
                                              const std::function<void(const std::string&)>& progress) {
  double shown = NowSeconds();
  weights_ = std::make_unique<CellWeights>(cell(), [&](int64_t done, int64_t layers) {
    if (world_->rank() != 0 || !progress || NowSeconds() - shown < 1) return;
    shown = NowSeconds();
    progress(internal::Concatenate("loading weights, layer ", done, " of ", layers));
  });
  const Variant& variant = cell().cases.front().variant;
  ModelOptions options;
  options.variant = variant;
  options.execution = {cell().isa, cell().threads, backend_, true};
  options.max_tokens = max_tokens;
  options.precision = cell().precision;
  return std::make_unique<Qwen3Model>(group(), weights_->Model(group(), variant.strategy), options);
}

double TimeOnAllRanks(const Communicator& world, const std::function<void()>& function) {
  world.Barrier("start of timing");
  const double begin = NowSeconds();
  function();
  return world.Max(NowSeconds() - begin);
}

std::string RateLine(const char* what, double seconds, int64_t tokens) {
  char line[160];
  std::snprintf(line, sizeof line, "%s %.4f s, %lld tokens, %.1f tokens/s\n", what, seconds,
                static_cast<long long>(tokens), static_cast<double>(tokens) / seconds);
  return line;
}

}  // namespace attention
