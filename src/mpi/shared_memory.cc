#include "src/mpi/shared_memory.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <string>

#include "src/base/error.h"

namespace attention {
namespace {

// Where Open MPI and MPICH put a window; a file there may be made larger than there is room, and whoever
// touches it then is killed.
const char* Directory() {
  const char* const said = std::getenv("OMPI_MCA_osc_sm_backing_directory");
  return said == nullptr ? "/dev/shm" : said;
}

std::string MpiMessage(int error) {
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(error, text, &length);
  return std::string(text, static_cast<size_t>(length));
}

}  // namespace

int64_t RoomForSharedMemory() {
  struct statvfs status = {};
  if (statvfs(Directory(), &status) != 0) return std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(status.f_bavail) * static_cast<int64_t>(status.f_frsize);
}

SharedMemory::SharedMemory(const Communicator& node, size_t own_bytes, int at_once) : node_(&node) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  // Pages of its own for each part, which its owner touches. MPI may begin anywhere; mappings of a window
  // begin with a page, so every rank rounds up to the same byte.
  const size_t bytes = (own_bytes / page + 2) * page;
  const int64_t all = node.Sum(static_cast<int64_t>(bytes));
  const int64_t free = node.Min(RoomForSharedMemory());
  // Open MPI wants 5 % more; one rank of it asks for them, and leaves the others where they are if it is
  // refused.
  const int64_t wanted = at_once * (all + all / 16 + (1 << 20));
  Require(wanted <= free, "the ranks of this node are to share ", wanted >> 20, " MiB of memory, and ",
          Directory(), " has ", free >> 20, " MiB left");

  MPI_Info hints = MPI_INFO_NULL;
  MPI_Info_create(&hints);
  // Each part begins where its owner wants it.
  MPI_Info_set(hints, "alloc_shared_noncontig", "true");
  MPI_Comm_set_errhandler(node.handle(), MPI_ERRORS_RETURN);
  void* own = nullptr;
  const int error =
      MPI_Win_allocate_shared(static_cast<MPI_Aint>(bytes), 1, hints, node.handle(), &own, &window_);
  MPI_Comm_set_errhandler(node.handle(), MPI_ERRORS_ARE_FATAL);
  MPI_Info_free(&hints);
  const int64_t refused = node.Min(int64_t{error == MPI_SUCCESS ? node.size() : node.rank()});
  if (refused < node.size()) {
    Fail("MPI gives no ", all >> 20, " MiB of shared memory on this node: ",
         node.Broadcast(MpiMessage(error), static_cast<int>(refused)));
  }
  MPI_Win_lock_all(MPI_MODE_NOCHECK, window_);
  std::vector<size_t> usable;  // of each part, in whole pages from its first whole page on
  for (int rank = 0; rank < node.size(); ++rank) {
    MPI_Aint size = 0;
    int unit = 1;
    void* part = nullptr;
    MPI_Win_shared_query(window_, rank, &size, &unit, &part);
    const size_t beyond = reinterpret_cast<uintptr_t>(part) % page;
    parts_.push_back(static_cast<std::byte*>(part) + (page - beyond) % page);
    usable.push_back(static_cast<size_t>(size) - page);
  }
  std::memset(part_of(node.rank()), 0, bytes - page);
  Synchronise("shared memory");
  // A rank's first look at a page of another's is a page fault, too.
  for (int rank = 0; rank < node.size(); ++rank) {
    const volatile std::byte* const part = part_of(rank);
    for (size_t at = 0; at < usable[static_cast<size_t>(rank)]; at += page) static_cast<void>(part[at]);
  }
}

SharedMemory::~SharedMemory() {
  // Collective; whoever else is here is not known.
  if (std::uncaught_exceptions() > 0) return;
  node_->Barrier("end of shared memory");  // which says so if it takes long
  MPI_Win_unlock_all(window_);
  MPI_Win_free(&window_);
}

void SharedMemory::Synchronise(const char* purpose) const {
  const double begin = MPI_Wtime();
  MPI_Win_sync(window_);
  node_->Barrier(purpose);
  MPI_Win_sync(window_);
  node_->traffic().wait_seconds += MPI_Wtime() - begin;
}

}  // namespace attention
