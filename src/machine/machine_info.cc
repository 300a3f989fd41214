#include "src/machine/machine_info.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <sstream>

namespace attention {
namespace {

// "kB" entries of /proc/self/status.
int64_t StatusBytes(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key + ":", 0) != 0) continue;
    std::istringstream stream(line.substr(key.size() + 1));
    int64_t kibibytes = 0;
    if (stream >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

rusage Usage() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage;
}

}  // namespace

std::string CpuModelName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::vector<CacheInfo> CpuCaches() {
  std::vector<CacheInfo> caches;
  for (int index = 0; index < 16; ++index) {
    const std::string base = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    CacheInfo cache;
    std::string size;
    std::ifstream(base + "level") >> cache.level;
    std::ifstream(base + "type") >> cache.type;
    std::ifstream(base + "size") >> size;
    if (cache.level == 0 || size.empty()) break;
    cache.bytes = std::atoll(size.c_str()) * (size.back() == 'M'   ? 1 << 20
                                              : size.back() == 'K' ? 1 << 10
                                                                   : 1);
    caches.push_back(cache);
  }
  return caches;
}

int64_t LastLevelCacheBytes() {
  int64_t bytes = 0;
  for (const CacheInfo& cache : CpuCaches()) {
    if (cache.type != "Instruction") bytes = std::max(bytes, cache.bytes);
  }
  return bytes > 0 ? bytes : int64_t{32} << 20;
}

double NowSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

TimerInfo MeasureTimer() {
  constexpr int kReads = 20000;
  TimerInfo info;
  info.resolution_s = 1;
  const double begin = NowSeconds();
  double previous = begin;
  for (int i = 0; i < kReads; ++i) {
    const double now = NowSeconds();
    if (now > previous) info.resolution_s = std::min(info.resolution_s, now - previous);
    previous = now;
  }
  info.cost_s = (previous - begin) / kReads;
  return info;
}

double StealSeconds() {
  std::ifstream file("/proc/stat");
  std::string label;
  // cpu user nice system idle iowait irq softirq steal ...
  double field = 0, steal = 0;
  file >> label;
  for (int i = 0; i < 8 && file >> field; ++i) steal = i == 7 ? field : 0;
  const long ticks = sysconf(_SC_CLK_TCK);
  return ticks > 0 ? steal / static_cast<double>(ticks) : 0;
}

int64_t PeakResidentBytes() {
  const int64_t bytes = StatusBytes("VmHWM");
  return bytes > 0 ? bytes : int64_t{Usage().ru_maxrss} * 1024;
}

void ResetPeakResident() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5";
}

int64_t CurrentResidentBytes() { return StatusBytes("VmRSS"); }

int64_t PageFaults() {
  const rusage usage = Usage();
  return usage.ru_minflt + usage.ru_majflt;
}

int64_t InvoluntarySwitches() { return Usage().ru_nivcsw; }

std::string BootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

double ProcessCpuSeconds() {
  const rusage usage = Usage();
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
         1e-6 * (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

int64_t PhysicalMemoryBytes() {
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? int64_t{pages} * size : 0;
}

std::string TransparentHugePages() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string choices;
  std::getline(file, choices);
  // "always [madvise] never"
  const size_t begin = choices.find('['), end = choices.find(']');
  return begin < end && end != std::string::npos ? choices.substr(begin + 1, end - begin - 1) : "";
}

std::string UtcTime() {
  const std::time_t now = std::time(nullptr);
  std::tm parts = {};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace attention
