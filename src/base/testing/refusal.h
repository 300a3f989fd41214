// What a function says when it refuses: for tests of input that is not what it should be.
#ifndef SRC_BASE_TESTING_REFUSAL_H_
#define SRC_BASE_TESTING_REFUSAL_H_

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "src/base/error.h"

namespace attention {

// The message of the Error that `function` throws, which must be bad usage and one line of bearable length;
// empty if it throws nothing.
template <typename Function>
std::string Refusal(Function&& function) {
  constexpr size_t kLongestLine = 1000;
  try {
    std::forward<Function>(function)();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.status(), ExitStatus::kBadUsage) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LT(message.size(), kLongestLine) << message;
    return message;
  }
  return "";
}

}  // namespace attention

#endif  // SRC_BASE_TESTING_REFUSAL_H_
