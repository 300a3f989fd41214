#include "src/simulate/isolated_process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "src/base/error.h"

namespace attention {
namespace {

std::string WhatOf(const std::function<std::string()>& function) {
  try {
    return "no error: " + RunIsolated(function);
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(IsolatedProcessTest, TextComesBackWholeAndNothingElse) {
  int here = 1;
  const std::string text = RunIsolated([&] {
    here = 2;
    return std::string(1 << 20, 'x') + '\0' + "end";
  });
  EXPECT_EQ(text, std::string(1 << 20, 'x') + '\0' + "end");
  EXPECT_EQ(here, 1);
  EXPECT_EQ(RunIsolated([] { return std::string(); }), "");
}

TEST(IsolatedProcessTest, ErrorsAreThrownOnWithTheirStatus) {
  try {
    RunIsolated([]() -> std::string { FailUsage("no such rank"); });
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "no such rank");
    EXPECT_EQ(error.status(), ExitStatus::kBadUsage);
  }
  EXPECT_EQ(WhatOf([]() -> std::string { Fail("broken"); }), "broken");
}

TEST(IsolatedProcessTest, EndsOfTheChildAreErrors) {
  EXPECT_NE(WhatOf([]() -> std::string { _exit(3); }).find("ended with status 3"), std::string::npos);
  EXPECT_NE(WhatOf([]() -> std::string {
              std::raise(SIGKILL);
              return "";
            }).find("signal 9"),
            std::string::npos);
}

TEST(IsolatedProcessTest, NobodyRunsOnForAParentThatIsKilled) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    close(ends[0]);
    RunIsolated([&]() -> std::string {
      if (write(ends[1], "x", 1) != 1) _exit(1);
      sleep(300);
      return "";
    });
    _exit(0);
  }
  close(ends[1]);
  char byte = 0;
  ASSERT_EQ(read(ends[0], &byte, 1), 1);
  ASSERT_EQ(kill(parent, SIGKILL), 0);
  ASSERT_EQ(waitpid(parent, nullptr, 0), parent);
  // The end of the pipe that both hold is closed: the child has ended, too.
  alarm(60);
  EXPECT_EQ(read(ends[0], &byte, 1), 0);
  alarm(0);
  close(ends[0]);
}

}  // namespace
}  // namespace attention
