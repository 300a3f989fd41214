#include "src/mpi/agreement.h"

#include <exception>
#include <new>
#include <optional>

#include "src/base/error.h"
#include "src/mpi/environment.h"

namespace attention {
namespace {

std::optional<Error> ErrorOf(const std::function<void()>& function) {
  try {
    function();
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return Error("out of memory");
  } catch (const std::exception& error) {
    return Error(error.what());
  } catch (...) {
    // A foreign exception must not leave the other ranks waiting either.
    return Error("unknown exception");
  }
  return std::nullopt;
}

void Agree(const Communicator& communicator, const std::optional<Error>& mine) {
  const int64_t size = communicator.size();
  const int64_t failed = communicator.Sum(int64_t{mine ? 1 : 0});
  if (failed == 0) return;
  const int64_t first = communicator.Min(mine ? int64_t{communicator.rank()} : size);
  const std::string message =
      communicator.Broadcast(mine ? mine->what() : std::string(), static_cast<int>(first));
  const bool is_first = communicator.rank() == first;
  const int64_t status = communicator.Max(is_first ? static_cast<int64_t>(mine->status()) : int64_t{0});
  const std::string where = failed < size ? internal::Concatenate("rank ", first, ": ") : std::string();
  throw Error(where + message, static_cast<ExitStatus>(status));
}

}  // namespace

void AgreeOnErrors(const Communicator& communicator, const std::function<void()>& function) {
  Agree(communicator, ErrorOf(function));
}

void AgreeOnErrorsOrEndJob(const Communicator& communicator, const std::string& program,
                           double patience_seconds, const std::function<void()>& function) {
  const std::optional<Error> mine = ErrorOf(function);
  ExchangeSettings& settings = communicator.settings();
  // A rank without an error waits as long as it takes: whoever does not come ends the job.
  settings.watchdog_seconds = mine ? patience_seconds : 0;
  if (mine) {
    // Kept by value: the communicator outlives this call.
    const std::string line =
        internal::Concatenate(program, ": rank ", communicator.rank(), ": ", mine->what());
    const int status = static_cast<int>(mine->status());
    settings.watchdog_expired = [line, status](const std::string&) {
      MpiEnvironment::AbortAll(line, status);
    };
  }
  Agree(communicator, mine);
}

void AgreeOnText(const Communicator& communicator, const std::string& text, const std::string& what) {
  const std::string first = communicator.Broadcast(text, 0);
  AgreeOnErrors(communicator, [&] {
    if (text == first) return;
    // Texts may be long; the part from the first difference on says enough.
    const auto [here, there] = std::mismatch(text.begin(), text.end(), first.begin(), first.end());
    constexpr size_t kShown = 120;
    FailUsage("its ", what, " differs from rank 0's: here '", std::string(here, text.end()).substr(0, kShown),
              "', there '", std::string(there, first.end()).substr(0, kShown),
              "'; were all ranks started with the same files and the same binary?");
  });
}

}  // namespace attention
