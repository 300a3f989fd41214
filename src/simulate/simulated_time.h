// Time as a simulated rank spends it.
#ifndef SRC_SIMULATE_SIMULATED_TIME_H_
#define SRC_SIMULATE_SIMULATED_TIME_H_

#include <compare>
#include <cstdint>

#include "src/base/data_type.h"
#include "src/simd/isa.h"

namespace attention {

// What moves bytes within a rank: a copy of a block, two states merged, a state finished; and in a decoder
// rows normed, query heads normed and rotated (and rounded, if keys are bf16), key heads likewise and put
// into the cache with their values, gates applied, parts of a sum over ranks added.
enum class MemoryWork { kCopy, kMerge, kFinish, kNorm, kRotate, kKeep, kActivate, kAdd };

// Products of linear layers of one kind, whose cost depends on their sizes alone.
struct ProductKind {
  Isa isa = Isa::kScalar;
  DataType data_type = DataType::kFloat32;  // of weights, and of what they are multiplied with
  int threads = 1;

  auto operator<=>(const ProductKind&) const = default;
};

class WorkCosts {
 public:
  virtual ~WorkCosts() = default;
  // bytes: copied, or of one state; of the float32 rows or heads that are normed, rotated, kept or activated;
  // of all parts of a sum and of the sum.
  virtual double SecondsOf(MemoryWork work, int64_t bytes) const = 0;
  // [rows, inputs] times weights [outputs, inputs].
  virtual double SecondsOfProduct(const ProductKind& kind, int64_t rows, int64_t inputs,
                                  int64_t outputs) const = 0;
};

class Calibration;

// What work costs on a host.
struct HostCosts {
  const WorkCosts* work = nullptr;
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
void SpendProduct(const ProductKind& kind, int64_t rows, int64_t inputs, int64_t outputs,
                  double memory_bytes);

}  // namespace attention

#endif  // SRC_SIMULATE_SIMULATED_TIME_H_
