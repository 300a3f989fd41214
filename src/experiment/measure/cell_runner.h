// Measures one cell: rounds over its variants in random order, with the hardware's limits and the parts of
// the time beside every sample, and the accuracy of every variant.
#ifndef SRC_EXPERIMENT_MEASURE_CELL_RUNNER_H_
#define SRC_EXPERIMENT_MEASURE_CELL_RUNNER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/experiment/measure/stop_signal.h"
#include "src/experiment/plan/plan.h"
#include "src/experiment/record/results.h"
#include "src/experiment/workload/decoder_workload.h"
#include "src/mpi/communicator.h"
#include "src/parallel/contracts/distributed_attention.h"

namespace attention {

struct CellOptions {
  MeasureOptions measure;
  int reference_rows = 64;
  int launch = 0;             // the order of variants differs between launches
  uint64_t order_seed = 1;    // and is drawn from this
  bool check_results = true;  // false: another launch of the same plan does
  std::string bundle;         // for the rows: see CaseRow
  BackendFactory backend = nullptr;
  int nodes = 1;
  bool oversubscribed = false;
  double peak_seconds = 2e-3;  // of one burst of the FMA and bandwidth measurements, at least
  // Called on rank 0 for every sample, as soon as it is taken.
  std::function<void(const SampleRow&)> on_sample;
  // Told on every rank while a model's weights are loaded; may be empty.
  CellWeights::LoadingProgress on_loading;
  // Polled on every rank; the ranks act on the strongest answer.
  std::function<StopRequest()> stop = RequestedStop;
};

struct CellResult {
  std::vector<CaseRow> cases;  // one per variant; rank 0's are complete
  bool stopped = false;        // by a signal, before all rounds: not to be recorded as complete
};

// A cell while it is measured, so that several can be by turns. A variant that cannot be set up, is wrong or
// breaks while running becomes a failed row; the others go on. Every call is collective over the cell's
// ranks.
class CellMeasurement {
 public:
  virtual ~CellMeasurement() = default;
  // How many rounds the options ask for, after a pilot if they want one; 0 if there is nothing to measure.
  virtual int ChooseRounds() = 0;
  // Round `round` of 0 to rounds - 1; nothing if the cell is over.
  virtual void RunRound(int round, int rounds) = 0;
  // By its time limit or a signal, or because no variant is left: no further round says anything.
  virtual bool is_over() const = 0;
  virtual bool is_stopped() const = 0;  // by a signal, before its last round
  // After the last round, once.
  virtual CellResult Finish() = 0;
};

// Collective over `communicator`, whose size is cell.ranks; threads are already pinned. Makes every variant
// and runs each once, checked. All three arguments must outlive the measurement.
std::unique_ptr<CellMeasurement> BeginCell(Communicator& communicator, const Cell& cell,
                                           const CellOptions& options);

// All of it, for a cell alone.
CellResult RunCell(Communicator& communicator, const Cell& cell, const CellOptions& options);

}  // namespace attention

#endif  // SRC_EXPERIMENT_MEASURE_CELL_RUNNER_H_
