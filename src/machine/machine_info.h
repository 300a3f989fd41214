// What the machine is and how quiet it was: for the manifest.
#ifndef SRC_MACHINE_MACHINE_INFO_H_
#define SRC_MACHINE_MACHINE_INFO_H_

#include <cstdint>
#include <string>
#include <vector>

namespace attention {

// "AMD EPYC ...", from /proc/cpuinfo; "unknown" where there is none.
std::string CpuModelName();

struct CacheInfo {
  int level = 0;
  std::string type;  // Data, Instruction, Unified
  int64_t bytes = 0;
};
// Of CPU 0, from /sys.
std::vector<CacheInfo> CpuCaches();
// The largest data or unified cache; 32 MiB where none is known.
int64_t LastLevelCacheBytes();

// The smallest step of the clock that was seen, and what reading it costs.
struct TimerInfo {
  double resolution_s = 0;
  double cost_s = 0;
};
TimerInfo MeasureTimer();

// Seconds, monotonic.
double NowSeconds();

// Time another guest took from this machine's CPUs since boot, all CPUs together (/proc/stat); 0 if unknown.
double StealSeconds();

// Resident memory: the high-water mark of this process since the last reset, and now. The mark cannot be
// reset everywhere; then it is that of the whole process.
int64_t PeakResidentBytes();
void ResetPeakResident();
int64_t CurrentResidentBytes();

// Page faults of this process so far, minor and major.
int64_t PageFaults();
// How often a thread of this process had to leave its CPU for another one so far.
int64_t InvoluntarySwitches();
// Of the machine since it was started: processes with the same one read the same clock. "" if unknown.
std::string BootId();
// CPU time this process has used, user and system.
double ProcessCpuSeconds();

// Physical memory of this node; 0 if unknown.
int64_t PhysicalMemoryBytes();

// When the kernel backs memory with transparent huge pages: "always", "madvise" or "never"; "" if unknown.
std::string TransparentHugePages();

// "2026-01-31T12:34:56Z"
std::string UtcTime();

}  // namespace attention

#endif  // SRC_MACHINE_MACHINE_INFO_H_
