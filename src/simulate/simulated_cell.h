// One cell of an experiment on a simulated machine.
#ifndef SRC_SIMULATE_SIMULATED_CELL_H_
#define SRC_SIMULATE_SIMULATED_CELL_H_

#include <optional>
#include <string>
#include <vector>

#include "src/experiment/ask/cell.h"
#include "src/experiment/record/results.h"
#include "src/parallel/choose/cost_model.h"
#include "src/simulate/calibration.h"
#include "src/simulate/platform.h"

namespace attention {

struct SimulatedCase {
  std::vector<SampleRow>
      samples;  // by draw: of the machine as it is said to be, then of those drawn around it
  // What the cost model of `auto` says; of the scope attention, on several ranks.
  std::optional<Prediction> prediction;
  CaseRow row;  // its status says so if one failed, and there are no samples
};

struct SimulationOptions {
  bool parts = true;  // compute alone and exchange alone, too, of the scope attention
  // All heads of a block travel as one message, where a real run sends each by itself: as many bytes on the
  // same links in a fraction of the messages, which is what a simulation's own time is spent on.
  bool joins_heads = false;
  // Machines drawn around the platform and the calibration (Platform::Drawn, Calibration::Drawn), the same
  // for every case. Times alone are simulated on them.
  int draws = 0;
};

// Throws Error (bad usage) for what cannot be simulated at all: the scope of a whole model, more cores than
// the platform has, kernels that were not measured.
void CheckCanSimulate(const Cell& cell, const Platform& platform, const Calibration& calibration);

// Simulates each case of the cell, once for each machine, in a process of its own: on one machine nothing is
// random. A sample's round is its draw. Rows say which platform they are of. Throws as CheckCanSimulate.
std::vector<SimulatedCase> SimulateCell(const Cell& cell, const Platform& platform,
                                        const Calibration& calibration, const SimulationOptions& options);

}  // namespace attention

#endif  // SRC_SIMULATE_SIMULATED_CELL_H_
