// Simulated kernels read nothing, so parts are not shared, and their memory is folded like all of it.
#include "src/mpi/shared_memory.h"

#include <limits>

namespace attention {

int64_t RoomForSharedMemory() { return std::numeric_limits<int64_t>::max(); }

SharedMemory::SharedMemory(const Communicator& node, size_t own_bytes, int)
    : node_(&node), unshared_(own_bytes) {
  parts_.assign(static_cast<size_t>(node.size()), unshared_.data());
}

SharedMemory::~SharedMemory() = default;

void SharedMemory::Synchronise(const char* purpose) const {
  const double begin = MPI_Wtime();
  node_->Barrier(purpose);
  node_->traffic().wait_seconds += MPI_Wtime() - begin;
}

}  // namespace attention
