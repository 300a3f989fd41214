// A group of ranks: RAII over MPI_Comm, collectives on single values, byte counters, a watchdog on every
// wait.
//
// MPI errors keep MPI's default: they end the job on every rank, because one rank cannot recover alone. Only
// the thread that initialised MPI may call anything here (MPI_THREAD_FUNNELED).
#ifndef SRC_MPI_COMMUNICATOR_H_
#define SRC_MPI_COMMUNICATOR_H_

#include <mpi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace attention {

// What this rank has moved; counted where it is handed to MPI. Messages to itself do not count.
struct Traffic {
  int64_t bytes_sent = 0;
  int64_t messages_sent = 0;
  int64_t under_way = 0;  // messages, either direction, started and not yet known to be complete
  // Spent in RequestSet::Wait and SharedMemory::Synchronise: communication that was not hidden.
  double wait_seconds = 0;
};

// A message as this rank hands it to MPI.
struct MessageStarted {
  bool is_send = false;
  int peer = 0;
  int64_t bytes = 0;
};

// Equal on every rank of a communicator.
struct ExchangeSettings {
  // A larger block travels as several messages, so that no count or size passes what MPI's int can hold.
  int64_t max_message_bytes = int64_t{1} << 30;
  // A head's run of tokens at least so long travels as a message of its own. In head-major storage it is
  // contiguous on both sides, and MPI then copies it once, straight between the ranks' memories; a strided
  // block would go through small intermediate buffers (measured in shared memory: several times slower).
  // Simulated, heads may share messages: as much travels, in a fraction of the messages.
  int64_t own_message_bytes = int64_t{64} << 10;
  // Ranks of a node beyond so many count as another node's; 0 = nodes are as they are. So one machine can
  // stand for several in tests and comparisons of exchanges that know of nodes.
  int64_t most_ranks_of_node = 0;
  // A wait without any completion for so long is reported and ends the job. 0 = never (a simulator's clock
  // jumps; waits then block inside MPI).
  double watchdog_seconds = 120;
  // What the watchdog does with its line; empty = print it on stderr, give the other ranks a second to print
  // theirs, and abort every rank.
  std::function<void(const std::string& line)> watchdog_expired;
  // Called for each message as it is handed to MPI; ranks are those of the communicator it travels in.
  std::function<void(const MessageStarted& message)> on_message;
};

class Communicator {
 public:
  // A duplicate of `parent`: our messages never match those of others. Collective over parent.
  explicit Communicator(MPI_Comm parent);
  ~Communicator();
  Communicator(Communicator&& other) noexcept;
  Communicator& operator=(Communicator&& other) noexcept;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  MPI_Comm handle() const { return handle_; }

  // Collective. The ranks that pass the same color >= 0, ordered by (key, rank); nullopt for color < 0. The
  // result counts into this communicator's traffic and shares its settings.
  std::optional<Communicator> Split(int color, int key) const;

  // Collective. `purpose` appears in the watchdog's line.
  void Barrier(const char* purpose = "barrier") const;
  // For ranks that have nothing to do for long: looks once per `nap_microseconds` and sleeps in between, so
  // that a waiting rank costs the working ones no core. Not watched: the wait may rightly be long.
  void SleepingBarrier(int64_t nap_microseconds = 500) const;
  int64_t Min(int64_t value) const;
  int64_t Max(int64_t value) const;
  int64_t Sum(int64_t value) const;
  double Min(double value) const;
  double Max(double value) const;
  // `text` of rank `root`, on every rank.
  std::string Broadcast(const std::string& text, int root) const;

  Traffic& traffic() const { return shared_->traffic; }
  ExchangeSettings& settings() const { return shared_->settings; }

  // Reports that this rank has waited too long; `waiting_for` says what for and in which step.
  void WatchdogExpired(double seconds, const std::string& waiting_for) const;

 private:
  struct Shared {
    Traffic traffic;
    ExchangeSettings settings;
  };

  Communicator(MPI_Comm owned, std::shared_ptr<Shared> shared);
  void Free();
  void Wait(MPI_Request* request, const char* purpose) const;
  template <typename T>
  T Reduce(T value, MPI_Datatype type, MPI_Op operation) const;

  MPI_Comm handle_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  std::shared_ptr<Shared> shared_;
};

}  // namespace attention

#endif  // SRC_MPI_COMMUNICATOR_H_
