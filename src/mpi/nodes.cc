#include "src/mpi/nodes.h"

#include <cstddef>

namespace attention {

std::vector<int> NodeOfRanks(const Communicator& communicator) {
  const int rank = communicator.rank();
  MPI_Comm node = MPI_COMM_NULL;
  MPI_Comm_split_type(communicator.handle(), MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node);
  int place = 0, size = 1, first = rank;
  MPI_Comm_rank(node, &place);
  MPI_Comm_size(node, &size);
  if (const int64_t most = communicator.settings().most_ranks_of_node; most > 0 && most < size) {
    MPI_Comm part = MPI_COMM_NULL;
    MPI_Comm_split(node, static_cast<int>(place / most), place, &part);
    MPI_Comm_free(&node);
    node = part;
  }
  MPI_Bcast(&first, 1, MPI_INT, 0, node);
  MPI_Comm_free(&node);

  std::vector<int> nodes(static_cast<size_t>(communicator.size()));
  MPI_Allgather(&first, 1, MPI_INT, nodes.data(), 1, MPI_INT, communicator.handle());
  return nodes;
}

}  // namespace attention
