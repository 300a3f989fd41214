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
  int64_t page_faults = 0;  // of all ranks
};

// One collective run, from a barrier to the end on the slowest rank. Errors become the same Error on all.
template <typename Function>
Timing TimeOnce(const Communicator& communicator, Function function) {
  double seconds = 0;
  int64_t faults = 0;
  AgreeOnErrors(communicator, [&] {
    communicator.Barrier("start of a timed run");
    const int64_t faults_before = PageFaults();
    const double begin = NowSeconds();
    function();
    seconds = NowSeconds() - begin;
    faults = PageFaults() - faults_before;
  });
  MPI_Allreduce(MPI_IN_PLACE, &faults, 1, MPI_INT64_T, MPI_SUM, communicator.handle());
  return {communicator.Max(seconds), communicator.Min(seconds), faults};
}

}  // namespace attention

#endif  // SRC_EXPERIMENT_MEASURE_TIMING_H_
