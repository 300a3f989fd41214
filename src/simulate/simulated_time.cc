#include "src/simulate/simulated_time.h"

#include <simgrid/s4u.hpp>
#include <vector>

namespace attention {
namespace {

// How often the bytes of a work go through memory, for SpendBytes.
double Passes(MemoryWork work) {
  switch (work) {
    case MemoryWork::kMerge:  // reads two states, writes one
      return 3;
    case MemoryWork::kActivate:  // writes half of what it reads
      return 1.5;
    case MemoryWork::kAdd:  // its bytes are those of all parts and of the sum
      return 1;
    default:  // read and written
      return 2;
  }
}

}  // namespace

const HostCosts& CostsOfHost() { return *simgrid::s4u::this_actor::get_host()->get_data<const HostCosts>(); }

void SleepUntil(double seconds) { simgrid::s4u::this_actor::sleep_until(seconds); }

void SpendSeconds(double seconds, double memory_bytes) {
  namespace s4u = simgrid::s4u;
  // A node's memory is SimGrid's disk of the host: whoever reads shares its bandwidth.
  const std::vector<s4u::Disk*> memory = s4u::this_actor::get_host()->get_disks();
  s4u::IoPtr reading;
  if (!memory.empty() && memory_bytes >= 1) {
    reading = memory.front()->read_async(static_cast<sg_size_t>(memory_bytes));
  }
  if (seconds > 0) s4u::this_actor::execute(seconds * kCoreSpeed);
  if (reading) reading->wait();
}

void SpendBytes(MemoryWork work, int64_t bytes) {
  SpendSeconds(CostsOfHost().work->SecondsOf(work, bytes), Passes(work) * static_cast<double>(bytes));
}

void SpendProduct(const ProductKind& kind, int64_t rows, int64_t inputs, int64_t outputs,
                  double memory_bytes) {
  SpendSeconds(CostsOfHost().work->SecondsOfProduct(kind, rows, inputs, outputs), memory_bytes);
}

}  // namespace attention
