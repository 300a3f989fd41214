#include "src/machine/cgroup_limits.h"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <vector>

#include "src/machine/machine_info.h"

namespace attention {
namespace {

// "max", nothing and what is no number mean no limit; version 1 spells none as a number near 2^63.
double ReadNumber(std::istream& stream) {
  double value = 0;
  if (stream >> value && value >= 0 && value < 0x1p62) return value;
  return std::numeric_limits<double>::infinity();
}

double ReadNumberFile(const std::string& path) {
  std::ifstream file(path);
  return ReadNumber(file);
}

// Pages of files in a group's memory, which are given up for anything else.
double FileCacheBytes(const std::string& path, const std::string& prefix) {
  std::ifstream file(path);
  double bytes = 0;
  std::string name;
  for (double value = 0; file >> name >> value;) {
    if (name == prefix + "inactive_file" || name == prefix + "active_file") bytes += value;
  }
  return bytes;
}

// Of a limit, beside what the group's other processes have; `used` is infinite where it is not known.
double Left(double limit, double used, double file_cache) {
  if (!std::isfinite(limit) || !std::isfinite(used)) return limit;
  return std::max(0.0, limit - std::max(0.0, used - file_cache));
}

// Bytes after "NAME:" of /proc/meminfo, which has kB; infinite where it does not say.
double MemoryInfo(const std::string& name) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, name.size() + 1, name + ":") != 0) continue;
    std::istringstream rest(line.substr(name.size() + 1));
    return ReadNumber(rest) * 1024;
  }
  return std::numeric_limits<double>::infinity();
}

void Tighten(CgroupLimits& limits, double cpus, double memory) {
  limits.cpus = std::min(limits.cpus, cpus);
  if (memory < static_cast<double>(limits.memory_bytes)) limits.memory_bytes = static_cast<int64_t>(memory);
}

void ReadVersion2(const std::string& directory, CgroupLimits& limits) {
  std::ifstream file(directory + "/cpu.max");
  const double quota = ReadNumber(file), period = ReadNumber(file);
  Tighten(limits, quota > 0 && period > 0 ? quota / period : std::numeric_limits<double>::infinity(),
          Left(ReadNumberFile(directory + "/memory.max"), ReadNumberFile(directory + "/memory.current"),
               FileCacheBytes(directory + "/memory.stat", "")));
}

void ReadVersion1(const std::string& directory, const std::string& controller, CgroupLimits& limits) {
  if (controller == "cpu") {
    const double quota = ReadNumberFile(directory + "/cpu.cfs_quota_us");
    const double period = ReadNumberFile(directory + "/cpu.cfs_period_us");
    if (quota > 0 && period > 0) Tighten(limits, quota / period, std::numeric_limits<double>::infinity());
  } else if (controller == "memory") {
    Tighten(limits, std::numeric_limits<double>::infinity(),
            Left(ReadNumberFile(directory + "/memory.limit_in_bytes"),
                 ReadNumberFile(directory + "/memory.usage_in_bytes"),
                 FileCacheBytes(directory + "/memory.stat", "total_")));
  }
}

// path, its parent, ..., "": a container may see its own group as the root, so each is tried.
std::vector<std::string> WayUp(std::string path) {
  std::vector<std::string> way;
  while (!path.empty() && path != "/") {
    way.push_back(path);
    path.resize(path.find_last_of('/'));
  }
  way.emplace_back("");
  return way;
}

}  // namespace

CgroupLimits ReadCgroupLimits(const std::string& root) {
  CgroupLimits limits;
  std::ifstream file(root + "/proc/self/cgroup");
  const std::string mount = root + "/sys/fs/cgroup";
  // "4:memory:/a/b", or "0::/a/b" for version 2.
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::istringstream controllers(line.substr(first + 1, second - first - 1));
    for (const std::string& group : WayUp(line.substr(second + 1))) {
      if (second == first + 1) {
        ReadVersion2(mount + group, limits);
        ReadVersion2(mount + "/unified" + group, limits);
      }
    }
    for (std::string controller; std::getline(controllers, controller, ',');) {
      for (const std::string& group : WayUp(line.substr(second + 1))) {
        ReadVersion1(mount + "/" + controller + group, controller, limits);
      }
    }
  }
  return limits;
}

int64_t AvailableMemoryBytes() {
  int64_t bytes = ReadCgroupLimits().memory_bytes;
  const int64_t physical = PhysicalMemoryBytes();
  if (physical > 0) bytes = std::min(bytes, physical);
  const double free = MemoryInfo("MemAvailable");
  if (free < static_cast<double>(bytes)) bytes = static_cast<int64_t>(free);
  for (const auto resource : {RLIMIT_AS, RLIMIT_DATA}) {
    rlimit limit = {};
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) continue;
    bytes = std::min(bytes, static_cast<int64_t>(std::min<rlim_t>(limit.rlim_cur, INT64_MAX)));
  }
  return bytes == std::numeric_limits<int64_t>::max() ? 0 : bytes;
}

}  // namespace attention
