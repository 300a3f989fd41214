// What the control groups of this process allow it, versions 1 and 2 of Linux' interface.
#ifndef SRC_MACHINE_CGROUP_LIMITS_H_
#define SRC_MACHINE_CGROUP_LIMITS_H_

#include <cstdint>
#include <limits>
#include <string>

namespace attention {

struct CgroupLimits {
  double cpus = std::numeric_limits<double>::infinity();  // CPU time per time, all threads together
  // What is left of the limit, beside what others have; file caches count as free.
  int64_t memory_bytes = std::numeric_limits<int64_t>::max();
};

// The tightest along the way up to the root. `root` stands before /proc and /sys, for tests.
CgroupLimits ReadCgroupLimits(const std::string& root = "");

// Bytes that processes of this node may still use: of the machine's memory (MemAvailable), of the control
// group's limit, and the limits of address space and data, whichever is least. 0 if unknown.
int64_t AvailableMemoryBytes();

}  // namespace attention

#endif  // SRC_MACHINE_CGROUP_LIMITS_H_
