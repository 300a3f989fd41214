#include "src/base/regular_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "src/base/testing/refusal.h"

namespace attention {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

// It begins with the path.
std::string RefusalToRead(const std::string& path, int64_t max_bytes = 100) {
  const std::string message = Refusal([&] { ReadWholeFile(path, max_bytes); });
  EXPECT_TRUE(message.empty() || message.starts_with(path + ": ")) << message;
  return message;
}

TEST(RegularFileTest, ReadsFilesUpToTheLimit) {
  const std::string path = testing::TempDir() + "/regular_file_test.txt";
  const std::string text = std::string("a\0b\n", 4) + std::string(96, 'x');
  std::ofstream(path, std::ios::binary) << text;
  EXPECT_EQ(ReadWholeFile(path, 100), text);
  EXPECT_EQ(RegularFile(path).size(), 100);
  EXPECT_THAT(RefusalToRead(path, 99), HasSubstr("longer than the 99 bytes"));
  std::filesystem::resize_file(path, uintmax_t{1} << 40);  // sparse
  EXPECT_THAT(RefusalToRead(path), HasSubstr("longer than"));
  std::filesystem::remove(path);
  EXPECT_THAT(RefusalToRead(path), HasSubstr("cannot be opened: No such file"));
  // Claims to be empty and is not.
  EXPECT_THAT(ReadWholeFile("/proc/self/status", 1 << 20), HasSubstr("Name:"));
}

// The test's time limit is what fails if one of these is waited for.
TEST(RegularFileTest, WhatBlocksOrNeverEndsIsRefusedAtOnce) {
  const std::string path = testing::TempDir() + "/regular_file_test.fifo";
  std::filesystem::remove(path);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  for (const std::string& odd :
       {path, std::string("/dev/zero"), std::string("/dev/null"), testing::TempDir()}) {
    EXPECT_THAT(RefusalToRead(odd), EndsWith("is not a regular file"));
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace attention
