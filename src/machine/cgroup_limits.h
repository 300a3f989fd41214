// What the control groups of this process allow it, versions 1 and 2 of Linux' interface.
#ifndef SRC_MACHINE_CGROUP_LIMITS_H_
#define SRC_MACHINE_CGROUP_LIMITS_H_

#include <cstdint>
#include <limits>
#include <string>

namespace attention {

struct CgroupLimits {
  double cpus = std::numeric_limits<double>::infinity();  // CPU time per time, all threads together
  int64_t memory_bytes = std::numeric_limits<int64_t>::max();
};

// The tightest along the way up to the root. `root` stands before /proc and /sys, for tests.
CgroupLimits ReadCgroupLimits(const std::string& root = "");

// Bytes that processes of this node may use: physical memory, the control group's and the address space's
// limit, whichever is least. 0 if unknown.
int64_t AvailableMemoryBytes();

}  // namespace attention

#endif  // SRC_MACHINE_CGROUP_LIMITS_H_
