// A child process spoken to in lines: one request, one answer.
#ifndef PEERS_WORKER_PROCESS_H_
#define PEERS_WORKER_PROCESS_H_

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

namespace attention::peers {

class WorkerProcess {
 public:
  // Starts arguments[0] (an absolute path) with its stdin and stdout connected to this process and these
  // variables ("NAME=value") added to its environment. Throws Error if it cannot.
  WorkerProcess(const std::vector<std::string>& arguments, const std::vector<std::string>& environment);
  // Closes its stdin, which ends it, and waits.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  void Send(const std::string& line);
  // The next line without its end. Throws Error when the process has ended instead.
  std::string Receive();
  std::string Ask(const std::string& line) {
    Send(line);
    return Receive();
  }

 private:
  pid_t process_ = -1;
  FILE* to_worker_ = nullptr;
  FILE* from_worker_ = nullptr;
};

}  // namespace attention::peers

#endif  // PEERS_WORKER_PROCESS_H_
