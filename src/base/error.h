// The project's one exception type.
//
// Library code throws Error; it never prints and never exits. main() turns it into one line on stderr and an
// exit status. On several ranks an error is first agreed on (src/mpi/agreement.h), so that none is left
// hanging.
#ifndef SRC_BASE_ERROR_H_
#define SRC_BASE_ERROR_H_

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace attention {

// Exit statuses of the binary; part of its interface, see README.
enum class ExitStatus : int {
  kOk = 0,           // every case ran and is accurate
  kCaseFailed = 1,   // some case failed, or the run broke off
  kBadUsage = 2,     // bad command line or experiment file; nothing was run
  kInterrupted = 3,  // stopped by signal or time limit; what was measured is kept, --resume goes on
};

namespace internal {
// Messages quote what files hold. Line ends become spaces, other control characters question marks.
inline std::string OneLine(std::string text) {
  for (char& c : text) {
    const bool is_space = c == '\n' || c == '\r' || c == '\t';
    if (is_space) {
      c = ' ';
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      c = '?';
    }
  }
  return text;
}
}  // namespace internal

// What was wrong, in one line.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, ExitStatus status = ExitStatus::kCaseFailed)
      : std::runtime_error(internal::OneLine(message)), status_(status) {}

  ExitStatus status() const { return status_; }

  // The same error with what was being done in front: "while doing X: message".
  Error WithContext(std::string_view context) const {
    return Error(std::string(context) + ": " + what(), status_);
  }

 private:
  ExitStatus status_;
};

namespace internal {
template <typename... Parts>
std::string Concatenate(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}
}  // namespace internal

// throw Error built from streamable parts.
template <typename... Parts>
[[noreturn]] void Fail(const Parts&... parts) {
  throw Error(internal::Concatenate(parts...));
}

// Bad input from the user: command line, experiment file, arguments of a public function.
template <typename... Parts>
[[noreturn]] void FailUsage(const Parts&... parts) {
  throw Error(internal::Concatenate(parts...), ExitStatus::kBadUsage);
}

// Precondition of a function; stays on in optimised builds.
template <typename... Parts>
void Require(bool condition, const Parts&... parts) {
  if (!condition) FailUsage(parts...);
}

}  // namespace attention

#endif  // SRC_BASE_ERROR_H_
