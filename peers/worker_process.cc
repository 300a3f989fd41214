#include "peers/worker_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "src/base/error.h"

extern char** environ;

namespace attention::peers {
namespace {

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

WorkerProcess::WorkerProcess(const std::vector<std::string>& arguments,
                             const std::vector<std::string>& environment) {
  // A worker that died is an error from Send, not a signal.
  signal(SIGPIPE, SIG_IGN);
  int request[2];
  int answer[2];
  if (pipe2(request, O_CLOEXEC) != 0) Fail("pipe: ", std::strerror(errno));
  if (pipe2(answer, O_CLOEXEC) != 0) Fail("pipe: ", std::strerror(errno));
  std::vector<std::string> argument_copies = arguments;
  std::vector<std::string> variables = environment;  // first: the first of a name counts
  for (char** variable = environ; *variable != nullptr; ++variable) variables.emplace_back(*variable);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, request[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, answer[1], STDOUT_FILENO);
  const int error = posix_spawn(&process_, arguments.front().c_str(), &actions, nullptr,
                                Pointers(argument_copies).data(), Pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  close(request[0]);
  close(answer[1]);
  to_worker_ = fdopen(request[1], "w");
  from_worker_ = fdopen(answer[0], "r");
  if (error != 0) Fail("cannot start ", arguments.front(), ": ", std::strerror(error));
}

WorkerProcess::~WorkerProcess() {
  std::fclose(to_worker_);
  std::fclose(from_worker_);
  if (process_ > 0) waitpid(process_, nullptr, 0);
}

void WorkerProcess::Send(const std::string& line) {
  std::fprintf(to_worker_, "%s\n", line.c_str());
  if (std::fflush(to_worker_) != 0) Fail("the worker process has ended");
}

std::string WorkerProcess::Receive() {
  std::string line;
  for (int character; (character = std::fgetc(from_worker_)) != EOF && character != '\n';) {
    line.push_back(static_cast<char>(character));
  }
  if (std::feof(from_worker_)) Fail("the worker process has ended");
  return line;
}

}  // namespace attention::peers
