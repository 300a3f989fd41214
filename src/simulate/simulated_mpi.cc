// MPI's profiling interface: what the project asks of MPI, asked of SMPI in a form that a thousand ranks can
// afford.
//
// Messages have sizes and no content. SMPI would copy every one, and pack what is strided first. Here a
// message takes its bytes from, and leaves them in, one block of addresses that all ranks share and that SMPI
// knows not to copy; it travels as so many bytes as its datatype has.
//
// Nonblocking collectives block. SMPI makes them of a message from each rank to each, blocking ones of fewer.
// The project waits for each at once (src/mpi/communicator.cc). Within what is timed there are only barriers
// of the ranks of a node (exchange shared).
//
// Ranks share memory if they are on one host of the platform ("node7", simulated_job.cc). SMPI would say that
// all do, as all are in this process.
#include <mpi.h>

#include <cstddef>
#include <cstdlib>

#include "src/base/error.h"

namespace {

// As much as a message may have: ExchangeSettings::max_message_bytes.
constexpr size_t kMostBytes = size_t{1} << 30;

void* Folded() {
  static void* const kFolded = SMPI_SHARED_MALLOC(kMostBytes);
  return kFolded;
}

int BytesOf(int count, MPI_Datatype type) {
  int size = 0;
  MPI_Type_size(type, &size);
  attention::Require(size >= 0 && static_cast<size_t>(size) * static_cast<size_t>(count) <= kMostBytes,
                     "a simulated message of ", count, " x ", size, " bytes");
  return count * size;
}

int NumberOfNode() {
  char name[MPI_MAX_PROCESSOR_NAME];
  int length = 0;
  MPI_Get_processor_name(name, &length);
  return std::atoi(name + sizeof("node") - 1);
}

}  // namespace

extern "C" {

int MPI_Comm_split_type(MPI_Comm communicator, int, int key, MPI_Info, MPI_Comm* part) {
  return PMPI_Comm_split(communicator, NumberOfNode(), key, part);
}

int MPI_Isend(const void*, int count, MPI_Datatype type, int destination, int tag, MPI_Comm communicator,
              MPI_Request* request) {
  return PMPI_Isend(Folded(), BytesOf(count, type), MPI_BYTE, destination, tag, communicator, request);
}

int MPI_Irecv(void*, int count, MPI_Datatype type, int source, int tag, MPI_Comm communicator,
              MPI_Request* request) {
  return PMPI_Irecv(Folded(), BytesOf(count, type), MPI_BYTE, source, tag, communicator, request);
}

int MPI_Ibarrier(MPI_Comm communicator, MPI_Request* request) {
  *request = MPI_REQUEST_NULL;
  return PMPI_Barrier(communicator);
}

int MPI_Iallreduce(const void* from, void* to, int count, MPI_Datatype type, MPI_Op operation,
                   MPI_Comm communicator, MPI_Request* request) {
  *request = MPI_REQUEST_NULL;
  return PMPI_Allreduce(from, to, count, type, operation, communicator);
}

int MPI_Ibcast(void* data, int count, MPI_Datatype type, int root, MPI_Comm communicator,
               MPI_Request* request) {
  *request = MPI_REQUEST_NULL;
  return PMPI_Bcast(data, count, type, root, communicator);
}
}
