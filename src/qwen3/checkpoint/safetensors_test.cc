#include "src/qwen3/checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "src/base/counter_random.h"
#include "src/base/error.h"
#include "src/base/testing/refusal.h"
#include "src/qwen3/checkpoint/checkpoint.h"
#include "src/qwen3/checkpoint/strict_json.h"
#include "src/qwen3/testing/safetensors_writer.h"

namespace attention {
namespace {

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// What the reader says about a file; empty if it takes it.
std::string RefusalToOpen(const std::string& path) {
  return Refusal([&] { Checkpoint::Open(path); });
}

std::string RefusalOf(const std::string& bytes) {
  const ScratchDirectory scratch;
  const std::string path = scratch.Write("lie.safetensors", bytes);
  const std::string message = RefusalToOpen(path);
  EXPECT_TRUE(message.empty() || message.starts_with(path)) << message;
  return message.empty() ? "" : message.substr(path.size());
}

TEST(SafetensorsTest, ReadsEveryFloatTypeAndMetadata) {
  const ScratchDirectory scratch;
  // 6 halves first, so that the F32 data is not 8-aligned; the header is padded to an odd length on purpose.
  const std::string header =
      R"({"h":{"dtype":"F16","shape":[6],"data_offsets":[0,12]},"b":{"dtype":"BF16","shape":[1,2],)"
      R"("data_offsets":[12,16]},"f":{"dtype":"F32","shape":[2,2],"data_offsets":[16,32]},)"
      R"("empty":{"dtype":"F32","shape":[0,7],"data_offsets":[16,16]},"scalar":{"dtype":"I64","shape":[],)"
      R"("data_offsets":[32,40]},"__metadata__":{"format":"pt"}}   )";
  const std::string data = Bytes<uint16_t>({0x3C00, 0xC000, 0x0001, 0x8000, 0x7C00, 0x3555}) +
                           Bytes<uint16_t>({0x3FC0, 0xC2F7}) + Bytes<float>({1.5f, -2, 3e-40f, 4}) +
                           Bytes<int64_t>({7});
  const auto file = SafetensorsFile::Open(scratch.Write("a.safetensors", SafetensorsBytes(header, data)));
  EXPECT_EQ(file->metadata().at("format"), "pt");

  std::array<float, 6> halves;
  file->Get("h").RequireFloat({6});
  file->Get("h").ReadFloats(0, halves);
  EXPECT_EQ(halves[0], 1.0f);
  EXPECT_EQ(halves[1], -2.0f);
  EXPECT_EQ(halves[2], std::ldexp(1.0f, -24));
  EXPECT_TRUE(halves[3] == 0 && std::signbit(halves[3]));
  EXPECT_EQ(halves[4], std::numeric_limits<float>::infinity());
  EXPECT_EQ(halves[5], 1365.0f / 4096.0f);  // 0x3555: 2^-2 * (1 + 341 / 1024), the half nearest to 1/3

  std::array<float, 2> brains;
  file->Get("b").ReadFloats(0, brains);
  EXPECT_EQ(brains[0], 1.5f);
  EXPECT_EQ(brains[1], -123.5f);

  std::array<float, 2> row;
  file->Get("f").RequireFloat({2, 2});
  file->Get("f").ReadFloats(2, row);
  EXPECT_EQ(row[0], 3e-40f);
  EXPECT_EQ(row[1], 4.0f);
  EXPECT_EQ(file->Get("empty").elements(), 0);
  EXPECT_EQ(file->Get("scalar").elements(), 1);
  EXPECT_THROW(file->Get("f").ReadFloats(3, row), Error);
  EXPECT_THROW(file->Get("f").ReadFloats(-1, row), Error);
}

TEST(SafetensorsTest, WrongShapeTypeOrNameNamesFileTensorAndExpectation) {
  const ScratchDirectory scratch;
  const std::string path = scratch.Write(
      "a.safetensors", SafetensorsBytes(R"({"x":{"dtype":"I32","shape":[2,3],"data_offsets":[0,24]}})",
                                        std::string(24, '\0')));
  const Checkpoint checkpoint = Checkpoint::Open(path);
  const auto message = [](auto&& action) -> std::string {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message([&] {
              checkpoint.Get("x").RequireFloat({3, 2});
            }),
            path + ": tensor 'x': expected shape [3, 2], is [2, 3]");
  EXPECT_EQ(message([&] {
              checkpoint.Get("x").RequireFloat({2, 3});
            }),
            path + ": tensor 'x': expected dtype F32, BF16 or F16, is I32");
  EXPECT_EQ(message([&] { checkpoint.Get("y"); }), path + ": tensor 'y' is missing");
}

TEST(SafetensorsTest, FilesThatAreNoneOrCutShort) {
  const ScratchDirectory scratch;
  EXPECT_NE(RefusalToOpen(scratch.path() + "/none.safetensors").find("cannot be opened"), std::string::npos);
  EXPECT_NE(RefusalToOpen(scratch.path()).find("holds neither"), std::string::npos);
  EXPECT_NE(RefusalOf("").find("too few"), std::string::npos);
  EXPECT_NE(RefusalOf("1234567").find("too few"), std::string::npos);
  EXPECT_NE(RefusalOf("version https://git-lfs").find("header claims"), std::string::npos);

  // Cut an honest file at every length: refused each time, and only the whole one is taken.
  const std::string whole =
      SafetensorsBytes(R"({"x":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})", std::string(12, 'a'));
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_NE(RefusalOf(whole.substr(0, length)), "") << length;
  }
  EXPECT_EQ(RefusalOf(whole), "");
  EXPECT_NE(RefusalOf(whole + "x").find("1 bytes after the last tensor"), std::string::npos);
}

TEST(SafetensorsTest, HeaderLengthThatLies) {
  const std::string header = R"({"x":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})";
  for (int64_t length : {int64_t{1000}, std::numeric_limits<int64_t>::max(), int64_t{100'000'001}}) {
    EXPECT_NE(RefusalOf(SafetensorsBytes(header, std::string(12, 'a'), length)).find("header claims"),
              std::string::npos);
  }
  std::string all_ones = SafetensorsBytes(header, std::string(12, 'a'));
  all_ones.replace(0, 8, 8, '\xFF');
  EXPECT_NE(RefusalOf(all_ones).find("header claims"), std::string::npos);
  EXPECT_NE(RefusalOf(SafetensorsBytes(header, std::string(12, 'a'), 10)).find("not valid JSON"),
            std::string::npos);
  EXPECT_NE(RefusalOf(SafetensorsBytes("", "")).find("not valid JSON"), std::string::npos);
}

TEST(SafetensorsTest, EntriesThatLie) {
  struct Case {
    const char* entry;
    const char* expected;
  };
  const Case cases[] = {
      {R"({"dtype":"F32","shape":[3],"data_offsets":[0,16]})", "takes 12 bytes"},
      {R"({"dtype":"F32","shape":[4],"data_offsets":[4,20]})", "reach beyond the 16 bytes"},
      {R"({"dtype":"F32","shape":[4],"data_offsets":[12,4]})", "data_offsets should be [begin, end]"},
      {R"({"dtype":"F32","shape":[4],"data_offsets":[-4,12]})", "data_offsets should be [begin, end]"},
      {R"({"dtype":"F32","shape":[4],"data_offsets":[0,16.0]})", "data_offsets should be [begin, end]"},
      {R"({"dtype":"F32","shape":[4],"data_offsets":[0]})", "data_offsets should be [begin, end]"},
      {R"({"dtype":"F32","shape":[4],"data_offsets":[18446744073709551600,16]})", "should be [begin, end]"},
      {R"({"dtype":"F32","shape":[4],"data_offsets":[0,99999999999999999999999]})", "should be [begin, end]"},
      {R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,16]})", "overflows"},
      {R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,16]})", "overflows"},
      {R"({"dtype":"F32","shape":[-4],"data_offsets":[0,16]})", "whole numbers"},
      {R"({"dtype":"F32","shape":["4"],"data_offsets":[0,16]})", "whole numbers"},
      {R"({"dtype":"F32","shape":4,"data_offsets":[0,16]})", "should be a list"},
      {R"({"dtype":"F31","shape":[4],"data_offsets":[0,16]})", "unknown dtype"},
      {R"({"dtype":32,"shape":[4],"data_offsets":[0,16]})", "dtype should be a string"},
      {R"({"dtype":"F32","shape":[4]})", "expected an object with"},
      {R"({"dtype":"F32","shape":[4],"data_offsets":[0,16],"scale":2})", "data_offsets only"},
      {R"("F32")", "expected an object with"},
      {R"(null)", "expected an object with"},
  };
  for (const Case& lie : cases) {
    const std::string header = std::string(R"({"the.tensor":)") + lie.entry + "}";
    const std::string message = RefusalOf(SafetensorsBytes(header, std::string(16, 'a')));
    EXPECT_NE(message.find(lie.expected), std::string::npos) << lie.entry << " -> " << message;
    EXPECT_NE(message.find("'the.tensor'"), std::string::npos) << message;
  }
}

TEST(SafetensorsTest, OverlapsHolesAndDuplicates) {
  const auto pair = [](const char* first, const char* second) {
    return RefusalOf(SafetensorsBytes(std::string(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":)") +
                                          first + R"(},"b":{"dtype":"F32","shape":[2],"data_offsets":)" +
                                          second + "}}",
                                      std::string(16, 'a')));
  };
  EXPECT_EQ(pair("[0,8]", "[8,16]"), "");
  EXPECT_EQ(pair("[8,16]", "[0,8]"), "");
  EXPECT_NE(pair("[0,8]", "[4,12]").find("overlap those of 'a'"), std::string::npos);
  EXPECT_NE(pair("[0,8]", "[0,8]").find("overlap"), std::string::npos);
  EXPECT_NE(pair("[4,12]", "[8,16]").find("belong to no tensor"), std::string::npos);
  EXPECT_NE(RefusalOf(SafetensorsBytes(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                       R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                                       "x"))
                .find("key \"a\" appears twice"),
            std::string::npos);
}

TEST(SafetensorsTest, JsonBombsAndNonsense) {
  const size_t depth = 2'000'000;
  EXPECT_NE(RefusalOf(SafetensorsBytes(std::string(depth, '['), "")).find("deeper than 32"),
            std::string::npos);
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += R"({"a":)";
  EXPECT_NE(RefusalOf(SafetensorsBytes(objects, "")).find("deeper than 32"), std::string::npos);
  EXPECT_NE(RefusalOf(SafetensorsBytes("[]", "")).find("should be a JSON object"), std::string::npos);
  EXPECT_NE(RefusalOf(SafetensorsBytes("{} trailing", "")).find("not valid JSON"), std::string::npos);
  // nlohmann::json takes a NUL for the end of the text.
  const std::string hidden("{}\0\0{\"unread\":1}", 17);
  EXPECT_NE(RefusalOf(SafetensorsBytes(hidden, "")).find("not valid JSON at byte 3: a NUL"),
            std::string::npos);
  EXPECT_EQ(RefusalOf(SafetensorsBytes(R"({"__metadata__":null})", "")), "");
  EXPECT_NE(RefusalOf(SafetensorsBytes("{\"\xFF\xFE\":1}", "")).find("not valid JSON"), std::string::npos);
  EXPECT_NE(RefusalOf(SafetensorsBytes(R"({"__metadata__":{"a":1}})", "")).find("metadata 'a'"),
            std::string::npos);
  EXPECT_NE(RefusalOf(SafetensorsBytes(R"({"__metadata__":3})", "")).find("__metadata__"), std::string::npos);
  // A name with control characters must not break the line.
  EXPECT_NE(RefusalOf(SafetensorsBytes(R"({"a\nb\u001b":3})", "")).find("'a?b?'"), std::string::npos);
}

// Random damage to an honest file is refused or harmless; AddressSanitizer watches the reads.
TEST(SafetensorsTest, DamagedBytesNeverReadOutOfBounds) {
  const std::string whole = SafetensorsBytes(R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                                             R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}})",
                                             std::string(32, 'a'));
  const ScratchDirectory scratch;
  for (uint64_t trial = 0; trial < 3000; ++trial) {
    std::string damaged = whole;
    for (uint64_t flip = 0; flip < 1 + trial % 3; ++flip) {
      const uint64_t bits = RandomBits(1, flip, trial);
      damaged[bits % damaged.size()] = static_cast<char>(bits >> 32);
    }
    const std::string path = scratch.Write("damaged.safetensors", damaged);
    try {
      const auto file = SafetensorsFile::Open(path);
      for (const auto& [name, tensor] : file->tensors()) {
        if (tensor.data_type != "F32" && tensor.data_type != "BF16" && tensor.data_type != "F16") continue;
        std::vector<float> values(static_cast<size_t>(tensor.elements()));
        tensor.ReadFloats(0, values);
      }
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace attention
