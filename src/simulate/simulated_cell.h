// One cell of an experiment on a simulated machine.
#ifndef SRC_SIMULATE_SIMULATED_CELL_H_
#define SRC_SIMULATE_SIMULATED_CELL_H_

#include <optional>
#include <string>
#include <vector>

#include "src/experiment/ask/cell.h"
#include "src/experiment/record/results.h"
#include "src/simulate/calibration.h"
#include "src/simulate/platform.h"

namespace attention {

struct SimulatedCase {
  std::optional<SampleRow> sample;  // none: it failed
  CaseRow row;
};

struct SimulationOptions {
  bool parts = true;  // compute alone and exchange alone, too
  // All heads of a block travel as one message, where a real run sends each by itself: as many bytes on the
  // same links in a fraction of the messages, which is what a simulation's own time is spent on.
  bool joins_heads = false;
};

// Throws Error (bad usage) for what cannot be simulated at all: another scope than attention, more cores than
// the platform has, kernels that were not measured.
void CheckCanSimulate(const Cell& cell, const Platform& platform, const Calibration& calibration);

// Simulates each case of the cell once, in a process of its own; one round says all, as nothing is random.
// Rows say which platform they are of. Throws as CheckCanSimulate.
std::vector<SimulatedCase> SimulateCell(const Cell& cell, const Platform& platform,
                                        const Calibration& calibration, const SimulationOptions& options);

}  // namespace attention

#endif  // SRC_SIMULATE_SIMULATED_CELL_H_
