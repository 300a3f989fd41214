#include "src/simulate/isolated_process.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "src/base/error.h"

namespace attention {
namespace {

// The first byte of what a child sends: its text, or an error of this status.
constexpr char kText = 't';
constexpr char kUsageError = 'u';
constexpr char kError = 'e';

void WriteAll(int descriptor, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = write(descriptor, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) _exit(1);
    done += static_cast<size_t>(written);
  }
}

std::string ReadAll(int descriptor) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(descriptor, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(buffer, static_cast<size_t>(got));
  }
}

[[noreturn]] void RunChild(int descriptor, const std::function<std::string()>& function) {
  std::string answer;
  try {
    answer = kText + function();
  } catch (const Error& error) {
    answer = (error.status() == ExitStatus::kBadUsage ? kUsageError : kError) + std::string(error.what());
  } catch (const std::exception& error) {
    answer = kError + std::string(error.what());
  } catch (...) {
    answer = kError + std::string("unknown exception");
  }
  WriteAll(descriptor, answer);
  // Nothing of the parent's is to be flushed or destroyed twice.
  _exit(0);
}

}  // namespace

std::string RunIsolated(const std::function<std::string()>& function) {
  int ends[2];
  if (pipe(ends) != 0) Fail("pipe: ", std::strerror(errno));
  std::fflush(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) Fail("fork: ", std::strerror(errno));
  if (child == 0) {
    // A simulation of minutes and gigabytes, for nobody; and what the parent holds locked stayed locked.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    close(ends[0]);
    RunChild(ends[1], function);
  }
  close(ends[1]);
  const std::string answer = ReadAll(ends[0]);
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (answer.empty() && WIFSIGNALED(status)) {
    Fail("the simulation was ended by signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")");
  }
  if (answer.empty())
    Fail("the simulation ended with status ", WEXITSTATUS(status),
         " before its time: do ranks wait for each other?");
  std::string text = answer.substr(1);
  if (answer[0] == kUsageError) throw Error(text, ExitStatus::kBadUsage);
  if (answer[0] == kError) throw Error(text);
  return text;
}

}  // namespace attention
