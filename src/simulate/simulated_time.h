// Time as a simulated rank spends it.
#ifndef SRC_SIMULATE_SIMULATED_TIME_H_
#define SRC_SIMULATE_SIMULATED_TIME_H_

#include <cstdint>

namespace attention {

// What moves bytes within a rank: a copy of a block, two states merged, a state finished.
enum class MemoryWork { kCopy, kMerge, kFinish };

class MemoryCosts {
 public:
  virtual ~MemoryCosts() = default;
  // bytes: copied, or of one state.
  virtual double SecondsOf(MemoryWork work, int64_t bytes) const = 0;
};

class Calibration;

// What work costs on a host.
struct HostCosts {
  const MemoryCosts* memory = nullptr;
  const Calibration* kernels = nullptr;
};

// Speed of a simulated core in SimGrid's unit: what it calls floating-point operations are nanoseconds of the
// calibrated core here.
inline constexpr double kCoreSpeed = 1e9;

// Of the host of the calling rank; only in a rank of a SimulatedJob.
const HostCosts& CostsOfHost();

// The calling rank does nothing until the simulated clock shows so many seconds. Ranks leave a barrier at
// different moments; this is how all begin at one.
void SleepUntil(double seconds);

// The calling rank computes for so many seconds of the calibrated core, and longer if the node's memory,
// which its ranks share, is not done with `memory_bytes` by then. Messages travel meanwhile.
void SpendSeconds(double seconds, double memory_bytes = 0);
void SpendBytes(MemoryWork work, int64_t bytes);

}  // namespace attention

#endif  // SRC_SIMULATE_SIMULATED_TIME_H_
