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

  // Ends every rank of the job with `status`, after one line on stderr.
  [[noreturn]] static void AbortAll(const std::string& line, int status);

 private:
  int exceptions_at_start_;
};

}  // namespace attention

#endif  // SRC_MPI_ENVIRONMENT_H_
