// Any text as an experiment file: read, planned, and what the manifest holds of its claims.
#include "src/experiment/ask/claims.h"
#include "src/experiment/ask/experiment_file.h"
#include "src/experiment/plan/plan.h"
#include "src/fuzz/fuzz_input.h"

namespace attention {
namespace {

// Plans of up to a million cells are right, and slow; nothing new is in those.
constexpr size_t kMostPoints = 2000;

size_t Points(const ExperimentSpec& spec) {
  size_t points = 1;
  for (const auto& [axis, values] : spec.axes) {
    points *= values.size();
    if (points > kMostPoints) return points;
  }
  return points;
}

void PlanOf(std::string_view text) {
  const ExperimentSpec spec = ParseExperiment(std::string(text), "input.yaml");
  Promise(spec.looks.back() > 0, "there is a launch");
  (void)ClaimsToJson(spec.claims).dump();
  // A checkpoint's shape comes from its files.
  if (!spec.weights_path.empty() || Points(spec) > kMostPoints) return;
  const Plan plan = MakePlan(spec, {Isa::kScalar});
  for (const Cell& cell : plan.cells) {
    Promise(!cell.cases.empty(), "a cell has a case");
    Promise(cell.flops >= 0 && cell.seconds_estimate >= 0, "estimates are not negative");
    for (const Case& made : cell.cases) {
      Promise(made.memory_bytes_per_rank >= 0, "memory is not negative");
      Promise(made.comm_bytes_per_rank >= 0, "bytes sent are not negative");
    }
  }
}

}  // namespace
}  // namespace attention

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  attention::TakesOrRefuses([&] { attention::PlanOf(attention::AsText(bytes, size)); });
  return 0;
}
