// Memory that the ranks of a node read in place.
#ifndef SRC_MPI_SHARED_MEMORY_H_
#define SRC_MPI_SHARED_MEMORY_H_

#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/base/aligned_buffer.h"
#include "src/mpi/communicator.h"

namespace attention {

// Bytes that this machine has left for all windows together.
int64_t RoomForSharedMemory();

// An MPI window of shared memory: each rank owns a part, zeroed, aligned to a page, and every rank reads and
// writes all parts. All pages have been touched, first by the owner of their part. What one rank writes
// another may read after both have passed Synchronise(). Made and destroyed by all ranks together, who wait
// for each other in both; but while an error unwinds it is left to MPI_Finalize.
class SharedMemory {
 public:
  // Collective over `node`, which must outlive this and whose ranks share a machine. Throws the same Error on
  // all of them, naming the sizes, if there is no room for as many windows as are made there `at_once`.
  SharedMemory(const Communicator& node, size_t own_bytes, int at_once = 1);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  std::byte* part_of(int rank) const { return parts_[static_cast<size_t>(rank)]; }

  // Collective: what any rank has written before is there for all of them. Counts as waiting
  // (Traffic::wait_seconds). `purpose`: as of Barrier.
  void Synchronise(const char* purpose) const;

 private:
  const Communicator* node_;
  [[maybe_unused]] MPI_Win window_ = MPI_WIN_NULL;  // simulated: none
  AlignedBuffer unshared_;                          // simulated: nobody reads, so nothing is shared
  std::vector<std::byte*> parts_;
};

}  // namespace attention

#endif  // SRC_MPI_SHARED_MEMORY_H_
