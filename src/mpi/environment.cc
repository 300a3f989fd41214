#include "src/mpi/environment.h"

#include <mpi.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <thread>

namespace attention {

MpiEnvironment::MpiEnvironment(int* argc, char*** argv) : exceptions_at_start_(std::uncaught_exceptions()) {
  int provided = MPI_THREAD_SINGLE;
  MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided);
}

MpiEnvironment::~MpiEnvironment() {
  if (std::uncaught_exceptions() > exceptions_at_start_) {
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    AbortAll("rank " + std::to_string(rank) + " failed: ending all ranks", EXIT_FAILURE);
  }
  MPI_Finalize();
}

void MpiEnvironment::AbortAll(const std::string& line, int status) {
  std::fprintf(stderr, "%s\n", line.c_str());
  std::fflush(stderr);
  // A launcher that tears the job down may lose what it has not yet read from the pipe.
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  MPI_Abort(MPI_COMM_WORLD, status);
  std::abort();  // MPI_Abort may return while the job is being torn down
}

}  // namespace attention
