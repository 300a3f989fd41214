// When to call a progress callback: often enough for whoever waits for messages, and no oftener.
//
// The callback is due at least every 100 us (Progress). Reading a clock before each piece of work would cost
// more than the budget of one in a thousand, so time is counted in work instead: pieces announce themselves,
// and their time is taken at rates that any machine with the ISA is expected to beat, about half of a slow
// clock's peak. On a fast machine the callback then comes more often than it must: every 40 us instead of 95.
#ifndef SRC_KERNELS_THREADS_PROGRESS_METER_H_
#define SRC_KERNELS_THREADS_PROGRESS_METER_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>

#include "src/attention/attention_types.h"
#include "src/simd/isa.h"

namespace attention {

// At the slow core's rate of the ISA's row, and 8 GB/s of memory that all cores share.
constexpr double SlowFlopsPerMicrosecond(Isa isa) { return RowOf(isa).slow_core_gflops * 1e3; }
inline constexpr double kSlowBytesPerMicrosecond = 8e3;
// What an exponential and its sum take, in FLOPs of a product at these rates.
inline constexpr double kFlopsPerExponential = 32;
// Longest time between two calls, at these rates; the rest of the 100 us is for what is not counted.
inline constexpr double kProgressMicroseconds = 95;

// One thread's; threads other than the caller's have a meter without a callback.
class ProgressMeter {
 public:
  ProgressMeter() = default;
  ProgressMeter(const Progress& progress, Isa isa)
      : progress_(progress), flops_to_microseconds_(1 / SlowFlopsPerMicrosecond(isa)) {}

  // Before a piece of work: calls back if it would come too late after it.
  void BeforeFlops(double flops) { Before(flops * flops_to_microseconds_); }
  void BeforeBytes(double bytes) { Before(bytes / kSlowBytesPerMicrosecond); }
  void Before(double microseconds) {
    if (progress_.poll == nullptr) return;
    if (microseconds_ + microseconds > kProgressMicroseconds) Call();
    microseconds_ += microseconds;
  }
  // While waiting, and at the end.
  void Call() {
    microseconds_ = 0;
    progress_();
  }

 private:
  Progress progress_;
  double flops_to_microseconds_ = 0;
  double microseconds_ = 0;  // since the last call
};

// Largest number of keys that a block of `columns` may attend to in one piece (a product, or the packing of
// values).
inline int64_t KeysPerPiece(Isa isa, int64_t columns, int64_t head_dim) {
  const double product = 2.0 * static_cast<double>(columns * head_dim) / SlowFlopsPerMicrosecond(isa);
  const double packing = 8.0 * static_cast<double>(head_dim) / kSlowBytesPerMicrosecond;
  return std::max<int64_t>(1, static_cast<int64_t>(kProgressMicroseconds / std::max(product, packing)));
}

// Where the threads of a parallel region meet. Unlike OpenMP's barrier, whoever waits keeps calling back.
class PollingBarrier {
 public:
  // Called by all `threads` of the team.
  void Wait(int threads, ProgressMeter& meter) {
    const int64_t round = round_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      return;
    }
    while (round_.load(std::memory_order_acquire) == round) {
      meter.Call();
      std::this_thread::yield();
    }
  }

 private:
  std::atomic<int> arrived_{0};
  std::atomic<int64_t> round_{0};
};

}  // namespace attention

#endif  // SRC_KERNELS_THREADS_PROGRESS_METER_H_
