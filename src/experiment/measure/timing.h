// One timed run on all ranks.
#ifndef SRC_EXPERIMENT_MEASURE_TIMING_H_
#define SRC_EXPERIMENT_MEASURE_TIMING_H_

#include <mpi.h>

#include <cstdint>

#include "src/machine/machine_info.h"
#include "src/mpi/agreement.h"
#include "src/mpi/communicator.h"

namespace attention {

struct Timing {
  double max_s = 0;  // over ranks
  double min_s = 0;
  int64_t page_faults = 0;           // of all ranks
  int64_t involuntary_switches = 0;  // of all ranks
  double steal_s = 0;                // of the machine that lost most
  double barrier_skew_s = 0;         // first to last rank out of the barrier; only if all read one clock
};

// One collective run, from a barrier to the end on the slowest rank. Errors become the same Error on all.
template <typename Function>
Timing TimeOnce(const Communicator& communicator, Function function) {
  double seconds = 0, begin = 0, steal = 0;
  int64_t counts[2] = {};
  AgreeOnErrors(communicator, [&] {
    const double steal_before = StealSeconds();
    communicator.Barrier("start of a timed run");
    const int64_t faults_before = PageFaults(), switches_before = InvoluntarySwitches();
    begin = NowSeconds();
    function();
    seconds = NowSeconds() - begin;
    counts[0] = PageFaults() - faults_before;
    counts[1] = InvoluntarySwitches() - switches_before;
    steal = StealSeconds() - steal_before;
  });
  MPI_Allreduce(MPI_IN_PLACE, counts, 2, MPI_INT64_T, MPI_SUM, communicator.handle());
  Timing timing;
  timing.max_s = communicator.Max(seconds);
  timing.min_s = communicator.Min(seconds);
  timing.page_faults = counts[0];
  timing.involuntary_switches = counts[1];
  timing.steal_s = communicator.Max(steal);
  timing.barrier_skew_s = communicator.Max(begin) - communicator.Min(begin);
  return timing;
}

}  // namespace attention

#endif  // SRC_EXPERIMENT_MEASURE_TIMING_H_
