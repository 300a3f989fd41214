#include "src/experiment/commands/generation.h"

#include <cstdio>
#include <optional>

#include "src/base/error.h"
#include "src/experiment/measure/experiment_runner.h"
#include "src/experiment/plan/plan.h"
#include "src/experiment/workload/decoder_workload.h"
#include "src/machine/cgroup_limits.h"
#include "src/machine/machine_info.h"
#include "src/machine/placement.h"
#include "src/mpi/agreement.h"
#include "src/qwen3/decoder/decoder_inputs.h"
#include "src/qwen3/decoder/model.h"
#include "src/simd/isa.h"

namespace attention {
namespace {

std::string DescribeRun(const Cell& cell, const Case& made) {
  const std::string weights = cell.weights != nullptr
                                  ? "weights " + cell.weights->path
                                  : "seeded weights (seed " + std::to_string(cell.seed) + ")";
  return internal::Concatenate(cell.model.name, ", ", weights, ", ", Name(cell.problem.data_type), "; ",
                               made.label, ", ", cell.ranks, " ranks x ", cell.threads, " threads, ",
                               Name(cell.isa));
}

// The prompt, the same on every rank; its ids are in the vocabulary.
std::vector<int64_t> PromptOf(const GenerateRequest& request, const Cell& cell) {
  const int64_t vocabulary = cell.model.vocabulary_size;
  std::vector<int64_t> ids = request.prompt;
  for (int64_t row = 0; request.prompt.empty() && row < cell.seq_len; ++row) {
    ids.push_back(SeededTokenId(cell.seed, row, vocabulary));
  }
  for (int64_t id : ids) {
    if (id >= vocabulary) {
      FailUsage("--prompt-ids: ", id, " is not in the vocabulary, which has ", vocabulary, " tokens");
    }
  }
  return ids;
}

template <typename Function>
double TimeOnAllRanks(const Communicator& world, const Function& function) {
  world.Barrier("start of generation");
  const double begin = NowSeconds();
  function();
  return world.Max(NowSeconds() - begin);
}

std::string IdsText(const std::vector<int64_t>& ids) {
  std::string text;
  for (int64_t id : ids) text += (text.empty() ? "" : ",") + std::to_string(id);
  return text;
}

std::string RateLine(const char* what, double seconds, int64_t tokens) {
  char line[160];
  std::snprintf(line, sizeof line, "%s %.4f s, %lld tokens, %.1f tokens/s\n", what, seconds,
                static_cast<long long>(tokens), static_cast<double>(tokens) / seconds);
  return line;
}

}  // namespace

GenerateResult GenerateGreedily(const Communicator& world, const GenerateRequest& request,
                                BackendFactory backend,
                                const std::function<void(const std::string&)>& progress) {
  const Plan plan = MakePlan(request.spec, {BestIsa()});
  const Cell& cell = plan.cells.front();
  const Case& made = cell.cases.front();
  const Topology topology = DiscoverTopology(world);
  GenerateResult result;
  const int64_t available = world.Min(AvailableMemoryBytes());
  AgreeOnErrors(world, [&] {
    // One cell: if it does not fit, that is an error.
    CheckPlanAgainstMachine(plan, topology, world.size(), SupportedIsas(), available);
    result.prompt = PromptOf(request, cell);
  });
  const Assignment assignment = AssignRanks(topology, cell.ranks, cell.threads, cell.placement);
  std::optional<Place> place = TakePlace(world, assignment, cell.threads);
  Communicator& group = place->group;

  double shown = NowSeconds();
  CellWeights weights(cell, [&](int64_t done, int64_t layers) {
    if (world.rank() != 0 || !progress || NowSeconds() - shown < 1) return;
    shown = NowSeconds();
    progress(internal::Concatenate("loading weights, layer ", done, " of ", layers));
  });
  ModelOptions options;
  options.variant = made.variant;
  options.execution = {cell.isa, cell.threads, backend, true};
  options.max_tokens = static_cast<int64_t>(result.prompt.size()) + request.count;
  Qwen3Model model(group, weights.Model(group, made.variant.strategy), options);
  result.run = DescribeRun(cell, made);
  std::vector<int64_t>& generated = result.generated;
  result.prefill_s = TimeOnAllRanks(group, [&] {
    model.Prefill(result.prompt);
    generated = model.GreedyNextTokens();
  });
  generated.reserve(static_cast<size_t>(request.count));
  result.decode_s = TimeOnAllRanks(group, [&] {
    while (static_cast<int64_t>(generated.size()) < request.count) {
      const int64_t last = generated.back();
      model.Decode({&last, 1});
      generated.push_back(model.GreedyNextTokens().front());
    }
  });
  return result;
}

std::string GenerateReport(const GenerateResult& result) {
  const int64_t decoded = static_cast<int64_t>(result.generated.size()) - 1;
  return result.run + "\nprompt " + IdsText(result.prompt) + "\ngenerated " + IdsText(result.generated) +
         "\n" + RateLine("prefill", result.prefill_s, static_cast<int64_t>(result.prompt.size())) +
         (decoded > 0 ? RateLine("decode", result.decode_s, decoded) : "");
}

}  // namespace attention
