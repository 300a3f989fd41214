// Which ranks share a machine's memory.
#ifndef SRC_MPI_NODES_H_
#define SRC_MPI_NODES_H_

#include <vector>

#include "src/mpi/communicator.h"

namespace attention {

// The node of each rank, named by its first rank. Collective. Nodes are as large as
// ExchangeSettings::most_ranks_of_node allows.
std::vector<int> NodeOfRanks(const Communicator& communicator);

}  // namespace attention

#endif  // SRC_MPI_NODES_H_
