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

std::string MpiEnvironment::WhyNotAlone() {
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  // mpirun -np 1 inside a job of several tasks is as it should be.
  if (size > 1 || std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr) return "";
  const auto number = [](const char* name) {
    const char* text = std::getenv(name);
    return text == nullptr ? 0 : std::atoi(text);
  };
  const bool is_srun = std::getenv("SLURM_STEP_ID") != nullptr && std::getenv("SLURM_PROCID") != nullptr;
  const int tasks = is_srun ? number("SLURM_STEP_NUM_TASKS") : 0,
            started = tasks > 1 ? tasks : number("PMI_SIZE");
  if (started <= 1) return "";
  return "this process is the only rank of MPI, but one of " + std::to_string(started) +
         (tasks > 1 ? " tasks of a Slurm step" : " of its launcher (PMI_SIZE)") +
         ": they do not find each other; start them with srun --mpi=pmix, or with mpirun";
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
