#include "src/mpi/communicator.h"

#include <chrono>
#include <thread>
#include <utility>

#include "src/base/error.h"
#include "src/mpi/environment.h"

namespace attention {

Communicator::Communicator(MPI_Comm parent) : shared_(std::make_shared<Shared>()) {
  MPI_Comm_dup(parent, &handle_);
  MPI_Comm_rank(handle_, &rank_);
  MPI_Comm_size(handle_, &size_);
}

Communicator::Communicator(MPI_Comm owned, std::shared_ptr<Shared> shared)
    : handle_(owned), shared_(std::move(shared)) {
  MPI_Comm_rank(handle_, &rank_);
  MPI_Comm_size(handle_, &size_);
}

Communicator::~Communicator() { Free(); }

Communicator::Communicator(Communicator&& other) noexcept
    : handle_(std::exchange(other.handle_, MPI_COMM_NULL)),
      rank_(other.rank_),
      size_(other.size_),
      shared_(std::move(other.shared_)) {}

Communicator& Communicator::operator=(Communicator&& other) noexcept {
  if (this != &other) {
    Free();
    handle_ = std::exchange(other.handle_, MPI_COMM_NULL);
    rank_ = other.rank_;
    size_ = other.size_;
    shared_ = std::move(other.shared_);
  }
  return *this;
}

void Communicator::Free() {
  if (handle_ == MPI_COMM_NULL) return;
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (!finalized) MPI_Comm_free(&handle_);
  handle_ = MPI_COMM_NULL;
}

std::optional<Communicator> Communicator::Split(int color, int key) const {
  MPI_Comm part = MPI_COMM_NULL;
  MPI_Comm_split(handle_, color < 0 ? MPI_UNDEFINED : color, key, &part);
  if (part == MPI_COMM_NULL) return std::nullopt;
  return Communicator(part, shared_);
}

void Communicator::Barrier(const char* purpose) const {
  MPI_Request request;
  MPI_Ibarrier(handle_, &request);
  Wait(&request, purpose);
}

void Communicator::SleepingBarrier(int64_t nap_microseconds) const {
  MPI_Request request;
  MPI_Ibarrier(handle_, &request);
  int done = 0;
  for (MPI_Test(&request, &done, MPI_STATUS_IGNORE); !done; MPI_Test(&request, &done, MPI_STATUS_IGNORE)) {
    std::this_thread::sleep_for(std::chrono::microseconds(nap_microseconds));
  }
}

template <typename T>
T Communicator::Reduce(T value, MPI_Datatype type, MPI_Op operation) const {
  T result = value;
  MPI_Request request;
  MPI_Iallreduce(&value, &result, 1, type, operation, handle_, &request);
  Wait(&request, "reduction");
  return result;
}

int64_t Communicator::Min(int64_t value) const { return Reduce(value, MPI_INT64_T, MPI_MIN); }
int64_t Communicator::Max(int64_t value) const { return Reduce(value, MPI_INT64_T, MPI_MAX); }
int64_t Communicator::Sum(int64_t value) const { return Reduce(value, MPI_INT64_T, MPI_SUM); }
double Communicator::Min(double value) const { return Reduce(value, MPI_DOUBLE, MPI_MIN); }
double Communicator::Max(double value) const { return Reduce(value, MPI_DOUBLE, MPI_MAX); }

std::string Communicator::Broadcast(const std::string& text, int root) const {
  int64_t length = rank_ == root ? static_cast<int64_t>(text.size()) : 0;
  MPI_Request request;
  MPI_Ibcast(&length, 1, MPI_INT64_T, root, handle_, &request);
  Wait(&request, "broadcast");
  Require(length < (int64_t{1} << 30), "Communicator::Broadcast: text of ", length, " bytes");
  std::string result = rank_ == root ? text : std::string(static_cast<size_t>(length), '\0');
  MPI_Ibcast(result.data(), static_cast<int>(length), MPI_CHAR, root, handle_, &request);
  Wait(&request, "broadcast");
  return result;
}

void Communicator::Wait(MPI_Request* request, const char* purpose) const {
  const double limit = settings().watchdog_seconds;
  if (limit == 0) {
    MPI_Wait(request, MPI_STATUS_IGNORE);
    return;
  }
  double begin = MPI_Wtime();
  int done = 0;
  for (MPI_Test(request, &done, MPI_STATUS_IGNORE); !done; MPI_Test(request, &done, MPI_STATUS_IGNORE)) {
    if (MPI_Wtime() - begin <= limit) continue;
    WatchdogExpired(limit, std::string("for the other ranks in a ") + purpose);
    begin = MPI_Wtime();
  }
}

void Communicator::WatchdogExpired(double seconds, const std::string& waiting_for) const {
  const std::string line = internal::Concatenate("rank ", rank_, " of ", size_, " has made no progress for ",
                                                 seconds, " s: it waits ", waiting_for);
  if (settings().watchdog_expired) {
    settings().watchdog_expired(line);
    return;
  }
  std::fprintf(stderr, "%s\n", line.c_str());
  std::this_thread::sleep_for(std::chrono::seconds(1));
  MpiEnvironment::AbortAll("watchdog: ending all ranks", static_cast<int>(ExitStatus::kCaseFailed));
}

}  // namespace attention
