// What the hardware can do beside a sample: the multiply-add peak and the read bandwidth of all ranks
// together.
#ifndef SRC_EXPERIMENT_MEASURE_HARDWARE_LIMITS_H_
#define SRC_EXPERIMENT_MEASURE_HARDWARE_LIMITS_H_

#include <cstdint>

#include "src/base/aligned_buffer.h"
#include "src/experiment/plan/plan.h"
#include "src/mpi/communicator.h"

namespace attention {

struct HardwareLimits {
  double peak_gflops = 0;
  double read_gb_per_s = 0;
};

// Measures for one cell, with its ISA, type, ranks and threads.
class LimitsMeter {
 public:
  // Collective: every rank allocates `read_bytes` to read from. The communicator and the cell must outlive
  // it.
  LimitsMeter(const Communicator& communicator, const Cell& cell, int64_t read_bytes, double peak_seconds);

  // Collective. `run_seconds`: what a sample takes; reads last as long, within bounds.
  HardwareLimits Measure(double run_seconds);
  // Whether a rate is above what the machine does, the best peak so far being the measure; measured once more
  // before it says so, as the clock may just have risen. Collective where `gflops` is the same on all ranks.
  bool IsImpossible(double gflops, double run_seconds);
  double best_peak_gflops() const { return best_peak_gflops_; }

 private:
  const Communicator& communicator_;
  const Cell& cell_;
  double peak_seconds_;
  AlignedBuffer read_buffer_;
  double best_peak_gflops_ = 0;
};

}  // namespace attention

#endif  // SRC_EXPERIMENT_MEASURE_HARDWARE_LIMITS_H_
