#include "src/simulate/simulated_time.h"

#include <simgrid/s4u.hpp>

namespace attention {

const HostCosts& CostsOfHost() { return *simgrid::s4u::this_actor::get_host()->get_data<const HostCosts>(); }

void SpendSeconds(double seconds) {
  if (seconds > 0) simgrid::s4u::this_actor::execute(seconds * kCoreSpeed);
}

void SpendBytes(MemoryWork work, int64_t bytes) {
  SpendSeconds(CostsOfHost().memory->SecondsOf(work, bytes));
}

}  // namespace attention
