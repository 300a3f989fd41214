// Deals the work of one step to threads: for every unit (batch entry, KV head), first its values are packed
// in chunks, then its tiles are computed.
//
// No barriers: chunks of unit u+1 are handed out just before the tiles of unit u, and three buffers of packed
// values go round, so whoever needs a buffer finds it ready or free; if not, it waits for work that was
// handed out earlier and is therefore under way (no deadlock, whatever the number of threads).
#ifndef SRC_KERNELS_THREADS_GROUP_PIPELINE_H_
#define SRC_KERNELS_THREADS_GROUP_PIPELINE_H_

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace attention {

class GroupPipeline {
 public:
  static constexpr int64_t kBuffers = 3;

  explicit GroupPipeline(int64_t max_units) : packed_(max_units), computed_(max_units) {}

  // Before the threads start.
  void Reset(int64_t units, int64_t chunks_per_unit, int64_t tiles_per_unit) {
    units_ = units;
    chunks_ = chunks_per_unit;
    tiles_ = tiles_per_unit;
    next_ = 0;
    for (int64_t unit = 0; unit < units_; ++unit) packed_[unit] = computed_[unit] = 0;
  }

  // Called by every thread. Calls pack(unit, chunk, buffer) and compute(unit, tile, buffer) until nothing is
  // left, and idle() repeatedly while it waits for other threads. A compute call may leave work for later:
  // finish(unit, buffer) follows the last of the calls that a thread makes in a row for one unit, before the
  // unit's buffer is used again.
  template <typename Pack, typename Compute, typename Finish, typename Idle>
  void Run(Pack pack, Compute compute, Finish finish, Idle idle) {
    const int64_t round = chunks_ + tiles_;
    const int64_t items = chunks_ + units_ * round;
    int64_t open_unit = -1, open_tiles = 0;  // computed, not finished
    const auto finish_open = [&] {
      if (open_tiles == 0) return;
      finish(open_unit, open_unit % kBuffers);
      computed_[open_unit].fetch_add(open_tiles, std::memory_order_release);
      open_tiles = 0;
    };
    for (int64_t item = next_++; item < items; item = next_++) {
      // Chunks of unit 0, then rounds of (chunks of unit u+1, tiles of unit u).
      const int64_t unit = item < chunks_ ? -1 : (item - chunks_) / round;
      const int64_t index = item < chunks_ ? item : (item - chunks_) % round;
      if (index < chunks_) {
        finish_open();  // others, or this thread itself, may wait for it
        const int64_t packed = unit + 1;
        if (packed == units_) continue;
        if (packed >= kBuffers) Wait(computed_[packed - kBuffers], tiles_, idle);
        pack(packed, index, packed % kBuffers);
        packed_[packed].fetch_add(1, std::memory_order_release);
      } else {
        if (unit != open_unit) finish_open();
        Wait(packed_[unit], chunks_, idle);
        compute(unit, index - chunks_, unit % kBuffers);
        open_unit = unit;
        ++open_tiles;
      }
    }
    finish_open();
  }
  template <typename Pack, typename Compute, typename Idle>
  void Run(Pack pack, Compute compute, Idle idle) {
    Run(
        pack, compute, [](int64_t, int64_t) {}, idle);
  }

 private:
  template <typename Idle>
  static void Wait(const std::atomic<int64_t>& done, int64_t count, Idle idle) {
    while (done.load(std::memory_order_acquire) < count) {
      idle();
      std::this_thread::yield();
    }
  }

  int64_t units_ = 0;
  int64_t chunks_ = 0;
  int64_t tiles_ = 0;
  std::atomic<int64_t> next_{0};
  std::vector<std::atomic<int64_t>> packed_;
  std::vector<std::atomic<int64_t>> computed_;
};

}  // namespace attention

#endif  // SRC_KERNELS_THREADS_GROUP_PIPELINE_H_
