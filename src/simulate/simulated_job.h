// Ranks on a simulated machine: SimGrid's engine, hosts and links as a platform says, an MPI job on them.
#ifndef SRC_SIMULATE_SIMULATED_JOB_H_
#define SRC_SIMULATE_SIMULATED_JOB_H_

#include <functional>

#include "src/machine/placement.h"
#include "src/mpi/communicator.h"
#include "src/simulate/calibration.h"
#include "src/simulate/platform.h"

namespace attention {

struct JobShape {
  int ranks = 1;
  int threads = 1;  // of each rank, a core each
  // packed: a node after the other is filled. spread: as few ranks on a node as possible.
  Placement placement = Placement::kPacked;
};

// Nodes that have ranks. Throws Error (bad usage) if the platform has too few cores.
// So many ranks are placed on each node, and on the last what is left. Throws as NodesUsed.
int RanksPerNode(const Platform& platform, const JobShape& shape);
int NodesUsed(const Platform& platform, const JobShape& shape);

// Runs `rank` on every rank of MPI_COMM_WORLD, all in this process and thread, which is at simulated time 0
// before. Once in a process: see isolated_process.h. Throws the first Error that leaves `rank` on some rank,
// or one that says that ranks wait for each other; then SimGrid has printed a line of its own on stderr.
// Waits block inside MPI, as a simulator's clock stands still while somebody polls.
void RunSimulatedJob(const Platform& platform, const Calibration& calibration, const JobShape& shape,
                     const std::function<void(Communicator& world)>& rank);

}  // namespace attention

#endif  // SRC_SIMULATE_SIMULATED_JOB_H_
