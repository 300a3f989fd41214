#include "src/simulate/simulated_time.h"

#include <simgrid/s4u.hpp>
#include <vector>

namespace attention {

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
  // A copy and a finished state are read and written; a merge reads two states and writes one.
  const double passes = work == MemoryWork::kMerge ? 3 : 2;
  SpendSeconds(CostsOfHost().memory->SecondsOf(work, bytes), passes * static_cast<double>(bytes));
}

}  // namespace attention
