// SIGTERM, SIGINT and SIGUSR1 ask the run to stop; what was measured is kept.
#ifndef SRC_EXPERIMENT_MEASURE_STOP_SIGNAL_H_
#define SRC_EXPERIMENT_MEASURE_STOP_SIGNAL_H_

namespace attention {

// Ordered: the ranks agree on the largest.
enum class StopRequest {
  kNone = 0,
  kAfterRound = 1,  // SIGUSR1, a batch system's warning: finish the round
  kNow = 2,         // SIGTERM, SIGINT: after the sample being taken
};

// For the whole process. A second SIGINT or SIGTERM kills as usual.
void CatchStopSignals();
StopRequest RequestedStop();

}  // namespace attention

#endif  // SRC_EXPERIMENT_MEASURE_STOP_SIGNAL_H_
