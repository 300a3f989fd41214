// Runs a plan on all ranks of a job: pins, measures cell by cell, records, and tells what is going on.
#ifndef SRC_EXPERIMENT_MEASURE_EXPERIMENT_RUNNER_H_
#define SRC_EXPERIMENT_MEASURE_EXPERIMENT_RUNNER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/experiment/measure/cell_runner.h"
#include "src/experiment/plan/plan.h"
#include "src/experiment/record/results.h"
#include "src/experiment/record/run_directory.h"
#include "src/machine/placement.h"

namespace attention {

struct RunOptions {
  CellOptions cell;  // nodes, oversubscribed and on_sample are filled in per cell
  // Where results go, opened on rank 0 once everything else is known to be good; none for a one-off run.
  std::optional<RunDirectory::Options> directory;
  // Ids of the cells to measure; none: all of them.
  std::optional<std::set<std::string>> only_cells;
  // Called on rank 0, and only there: a line of progress, to be shown in place of the one before.
  std::function<void(const std::string& line)> progress;
  // Called on rank 0 after each cell.
  std::function<void(const std::vector<CaseRow>& rows)> on_cell;
};

struct RunSummary {
  int cells_run = 0;
  int cells_resumed = 0;  // complete from an earlier attempt
  bool any_failed = false;
  bool stopped = false;       // by a signal
  std::vector<CaseRow> rows;  // on rank 0
  ExitStatus exit_status() const;
};

// Collective over `world`. Throws the same Error on every rank: bad usage before anything ran (more ranks
// asked than there are, an ISA some rank's CPU lacks, too little memory, a directory that cannot be
// written), or that the results could no longer be written.
RunSummary RunExperiment(const Communicator& world, const ExperimentSpec& spec, const Plan& plan,
                         const RunOptions& options);

// What can only be checked here: ranks, ISAs (`supported` by this CPU), memory. Throws Error (bad usage) for
// ranks and ISAs, and if no cell fits into memory. Returns why a cell is left out, by its id: it does not
// fit.
std::map<std::string, std::string> CheckPlanAgainstMachine(const Plan& plan, const Topology& topology,
                                                           int world_size, const std::vector<Isa>& supported,
                                                           int64_t available_bytes);

}  // namespace attention

#endif  // SRC_EXPERIMENT_MEASURE_EXPERIMENT_RUNNER_H_
