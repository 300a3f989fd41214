// MPI's lifetime as a C++ scope.
#ifndef SRC_MPI_ENVIRONMENT_H_
#define SRC_MPI_ENVIRONMENT_H_

#include <string>

namespace attention {

// Initialises MPI with MPI_THREAD_FUNNELED (MPI_THREAD_SINGLE is accepted where a simulator gives no more:
// only the main thread ever calls MPI) and finalises it. One per process, in main(), outliving every
// Communicator.
//
// A scope left by an exception means that other ranks may be waiting for this one: the destructor then
// says so and ends the whole job (MPI_Abort) instead of finalising, so that none is left hanging.
class MpiEnvironment {
 public:
  MpiEnvironment(int* argc, char*** argv);
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;

  // Why the only rank of MPI_COMM_WORLD should not be alone: its launcher started several that do not know of
  // each other (srun without a PMI that the MPI library speaks). "" if nothing speaks for that.
  static std::string WhyNotAlone();

  // Ends every rank of the job with `status`, after one line on stderr.
  [[noreturn]] static void AbortAll(const std::string& line, int status);

 private:
  int exceptions_at_start_;
};

}  // namespace attention

#endif  // SRC_MPI_ENVIRONMENT_H_
