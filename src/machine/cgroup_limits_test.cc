#include "src/machine/cgroup_limits.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "src/machine/machine_info.h"

namespace attention {
namespace {

namespace fs = std::filesystem;

class CgroupLimitsTest : public testing::Test {
 protected:
  CgroupLimitsTest() {
    root_ = std::string(std::getenv("TEST_TMPDIR") ? std::getenv("TEST_TMPDIR") : "/tmp") + "/root_" +
            testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(root_);
  }
  void Write(const std::string& path, const std::string& text) const {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  std::string root_;
};

TEST_F(CgroupLimitsTest, NoneWhereNothingIsSaid) {
  const CgroupLimits limits = ReadCgroupLimits(root_);
  EXPECT_EQ(limits.cpus, std::numeric_limits<double>::infinity());
  EXPECT_EQ(limits.memory_bytes, std::numeric_limits<int64_t>::max());
}

TEST_F(CgroupLimitsTest, TheTightestOnTheWayUpVersion2) {
  Write("/proc/self/cgroup", "0::/slice/job/step\n");
  Write("/sys/fs/cgroup/slice/cpu.max", "150000 100000\n");
  Write("/sys/fs/cgroup/slice/job/cpu.max", "max 100000\n");
  Write("/sys/fs/cgroup/slice/memory.max", "max\n");
  Write("/sys/fs/cgroup/slice/job/memory.max", "1048576\n");
  Write("/sys/fs/cgroup/slice/job/step/memory.max", "2097152\n");
  const CgroupLimits limits = ReadCgroupLimits(root_);
  EXPECT_EQ(limits.cpus, 1.5);
  EXPECT_EQ(limits.memory_bytes, 1048576);
}

TEST_F(CgroupLimitsTest, Version1) {
  Write("/proc/self/cgroup", "4:memory:/job\n1:cpu,cpuacct:/job\n9:name=systemd:/\n0::/\n");
  Write("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "314572800\n");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  Write("/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
  Write("/sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
  Write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
  Write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  const CgroupLimits limits = ReadCgroupLimits(root_);
  EXPECT_EQ(limits.cpus, 2);
  EXPECT_EQ(limits.memory_bytes, 314572800);
}

// A container sees its own group as the root of the mount, though /proc names it from outside.
TEST_F(CgroupLimitsTest, InsideAContainer) {
  Write("/proc/self/cgroup", "0::/docker/abc\n");
  Write("/sys/fs/cgroup/memory.max", "4096\n");
  EXPECT_EQ(ReadCgroupLimits(root_).memory_bytes, 4096);
}

TEST_F(CgroupLimitsTest, WhatOthersHaveIsNotLeft) {
  Write("/proc/self/cgroup", "0::/job\n");
  Write("/sys/fs/cgroup/job/memory.max", "1000000\n");
  Write("/sys/fs/cgroup/job/memory.current", "700000\n");
  Write("/sys/fs/cgroup/job/memory.stat", "anon 400000\ninactive_file 200000\nactive_file 100000\n");
  EXPECT_EQ(ReadCgroupLimits(root_).memory_bytes, 600000);
  Write("/sys/fs/cgroup/job/memory.current", "1700000\n");
  EXPECT_EQ(ReadCgroupLimits(root_).memory_bytes, 0);
}

TEST_F(CgroupLimitsTest, WhatOthersHaveVersion1) {
  Write("/proc/self/cgroup", "4:memory:/job\n");
  Write("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "1000000\n");
  Write("/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "700000\n");
  Write("/sys/fs/cgroup/memory/job/memory.stat",
        "inactive_file 1\ntotal_inactive_file 200000\ntotal_active_file 0\n");
  EXPECT_EQ(ReadCgroupLimits(root_).memory_bytes, 500000);
}

TEST_F(CgroupLimitsTest, NeverMoreThanTheMachineHas) {
  EXPECT_GT(AvailableMemoryBytes(), 0);
  EXPECT_LE(AvailableMemoryBytes(), PhysicalMemoryBytes());
}

}  // namespace
}  // namespace attention
