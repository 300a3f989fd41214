// Memory that the ranks of a node read in place.
#ifndef SRC_MPI_SHARED_MEMORY_H_
#define SRC_MPI_SHARED_MEMORY_H_

#include <mpi.h>

#include <cstddef>
#include <vector>

#include "src/base/aligned_buffer.h"
#include "src/mpi/communicator.h"

namespace attention {

// An MPI window of shared memory: each rank owns a part, zeroed, aligned to a page, its pages touched by the
// owner, and every rank reads and writes all parts. What one writes another may read after both have passed
// Synchronise(). Made and destroyed by all ranks together, but while an error unwinds, when it is left to
// MPI_Finalize.
class SharedMemory {
 public:
  // Collective over `node`, which must outlive this and whose ranks share a machine. Throws the same Error on
  // all of them, naming the sizes, if there is no room.
  SharedMemory(const Communicator& node, size_t own_bytes);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  std::byte* part_of(int rank) const { return parts_[static_cast<size_t>(rank)]; }

  // Collective: what any rank has written before is there for all of them. `purpose`: as of Barrier.
  void Synchronise(const char* purpose) const;

 private:
  const Communicator* node_;
  MPI_Win window_ = MPI_WIN_NULL;
  AlignedBuffer unshared_;  // simulated: nobody reads, so nothing is shared
  std::vector<std::byte*> parts_;
};

}  // namespace attention

#endif  // SRC_MPI_SHARED_MEMORY_H_
