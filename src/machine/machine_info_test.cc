#include "src/machine/machine_info.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <string>

namespace attention {
namespace {

TEST(MachineInfoTest, TransparentHugePagesIsOneOfTheKernelsWords) {
  const std::string found = TransparentHugePages();
  if (std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled").good()) {
    EXPECT_EQ((std::set<std::string>{"always", "madvise", "never"}).count(found), 1u) << found;
  } else {
    EXPECT_EQ(found, "");
  }
}

}  // namespace
}  // namespace attention
