#include "src/qwen3/checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <string>

#include "src/base/testing/refusal.h"
#include "src/qwen3/testing/safetensors_writer.h"

namespace attention {
namespace {

using testing::HasSubstr;

// What is said about a path; empty if it is taken.
std::string RefusalToOpen(const std::string& path) {
  return Refusal([&] { Checkpoint::Open(path); });
}

// A file of one-element tensors: "x" -> 1.
std::string Shard(const std::map<std::string, float>& values) {
  std::string header, data;
  for (const auto& [name, value] : values) {
    const size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(&value), sizeof value);
    header += (header.empty() ? "{\"" : ",\"") + name + R"(":{"dtype":"F32","shape":[1],"data_offsets":[)" +
              std::to_string(begin) + "," + std::to_string(data.size()) + "]}";
  }
  return SafetensorsBytes(header + "}", data);
}

float ValueOf(const Checkpoint& checkpoint, const std::string& name) {
  std::array<float, 1> value;
  checkpoint.Get(name).ReadFloats(0, value);
  return value[0];
}

constexpr char kIndex[] = "model.safetensors.index.json";

TEST(CheckpointTest, ShardsWithAnIndex) {
  const ScratchDirectory scratch;
  scratch.Write("one.safetensors", Shard({{"x", 1}}));
  scratch.Write("two.safetensors", Shard({{"y", 2}}));
  const std::string index =
      scratch.Write(kIndex, R"({"metadata":{},"weight_map":{"x":"one.safetensors","y":"two.safetensors"}})");
  for (const std::string& path : {scratch.path(), index}) {
    const Checkpoint checkpoint = Checkpoint::Open(path);
    EXPECT_EQ(checkpoint.directory(), scratch.path());
    EXPECT_EQ(ValueOf(checkpoint, "y"), 2.0f);
    EXPECT_EQ(checkpoint.Find("z"), nullptr);
  }
  const auto refusal = [&](const std::string& text) { return RefusalToOpen(scratch.Write(kIndex, text)); };
  EXPECT_THAT(refusal(R"({"weight_map":{"y":"one.safetensors"}})"), HasSubstr("tensor 'y' is missing"));
  EXPECT_THAT(refusal(R"({"weight_map":{"y":"three.safetensors"}})"),
              HasSubstr("three.safetensors: cannot be opened"));
  for (const char* place :
       {R"("../one.safetensors")", R"(["one.safetensors"])", R"("one\u0000")", "\"..\""}) {
    EXPECT_THAT(refusal(std::string(R"({"weight_map":{"y":)") + place + "}}"),
                HasSubstr("file beside the index"));
  }
  EXPECT_THAT(refusal(R"({"weight_map":[]})"), HasSubstr("weight_map"));
  EXPECT_THAT(refusal(R"([)"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(std::string("{\"weight_map\":{}}\0{}", 19)), HasSubstr("a NUL"));
  EXPECT_THAT(refusal(R"({"weight_map":{"x":"one.safetensors","x":"two.safetensors"}})"),
              HasSubstr("appears twice"));
}

// What a shard holds and the index does not name is there for the check of unread tensors to see.
TEST(CheckpointTest, TensorsThatTheIndexLacks) {
  const ScratchDirectory scratch;
  const std::string index =
      scratch.Write(kIndex, R"({"weight_map":{"x":"one.safetensors","y":"two.safetensors"}})");
  scratch.Write("one.safetensors", Shard({{"x", 1}, {"bias", 5}}));
  scratch.Write("two.safetensors", Shard({{"y", 2}, {"x", 1}}));
  EXPECT_EQ(ValueOf(Checkpoint::Open(index), "bias"), 5.0f);
  scratch.Write("two.safetensors", Shard({{"y", 2}, {"x", 7}}));
  EXPECT_THAT(RefusalToOpen(index), HasSubstr("two.safetensors: tensor 'x': is in " + scratch.path() +
                                              "/one.safetensors too, with other content"));
}

TEST(CheckpointTest, FilesThatContradictEachOther) {
  const ScratchDirectory scratch;
  const std::string single = scratch.Write("model.safetensors", Shard({{"x", 1}}));
  EXPECT_EQ(RefusalToOpen(scratch.path()), "");
  // An index of just that file says nothing else.
  const std::string index = scratch.Write(kIndex, R"({"weight_map":{"x":"model.safetensors"}})");
  EXPECT_EQ(RefusalToOpen(scratch.path()), "");
  scratch.Write("model-00001-of-00001.safetensors", Shard({{"x", 2}}));
  EXPECT_THAT(RefusalToOpen(scratch.path()), HasSubstr("holds model-00001-of-00001.safetensors"));
  scratch.Write(kIndex, R"({"weight_map":{"x":"model-00001-of-00001.safetensors"}})");
  EXPECT_THAT(RefusalToOpen(scratch.path()),
              HasSubstr("holds both model.safetensors and model.safetensors.index"));
  // Whoever names a file means it.
  EXPECT_EQ(ValueOf(Checkpoint::Open(single), "x"), 1.0f);
  EXPECT_EQ(ValueOf(Checkpoint::Open(index), "x"), 2.0f);
  std::filesystem::remove(single);
  EXPECT_EQ(RefusalToOpen(scratch.path()), "");
  scratch.Write("model-00002-of-00002.safetensors", Shard({{"y", 2}}));
  for (const std::string& path : {scratch.path(), index}) {
    EXPECT_THAT(RefusalToOpen(path), HasSubstr("holds model-00002-of-00002.safetensors, which " +
                                               std::string(kIndex) + " does not name"));
  }
  std::filesystem::remove(scratch.path() + "/model-00002-of-00002.safetensors");
  scratch.Write("adapter_model.safetensors", Shard({{"x", 2}}));
  EXPECT_THAT(RefusalToOpen(scratch.path()), HasSubstr("adapters are not applied"));
}

TEST(CheckpointTest, PlacesThatAreNoFiles) {
  const ScratchDirectory scratch;
  EXPECT_THAT(RefusalToOpen(scratch.path()), HasSubstr("holds neither"));
  EXPECT_THAT(RefusalToOpen(scratch.path() + "/none.safetensors"), HasSubstr("cannot be opened"));
  EXPECT_THAT(RefusalToOpen("/dev/zero"), HasSubstr("is not a regular file"));
  const std::string shard = scratch.path() + "/one.safetensors", index = scratch.path() + "/" + kIndex;
  ASSERT_EQ(mkfifo(shard.c_str(), 0600), 0);
  EXPECT_THAT(RefusalToOpen(shard), HasSubstr("one.safetensors: is not a regular file"));
  scratch.Write(kIndex, R"({"weight_map":{"x":"one.safetensors"}})");
  EXPECT_THAT(RefusalToOpen(scratch.path()), HasSubstr("one.safetensors: is not a regular file"));
  std::filesystem::remove(index);
  ASSERT_EQ(mkfifo(index.c_str(), 0600), 0);
  EXPECT_THAT(RefusalToOpen(scratch.path()), HasSubstr("index.json: is not a regular file"));
  std::filesystem::remove(index);
  // A link that leads nowhere, or to itself, is not passed over.
  std::filesystem::create_symlink(kIndex, index);
  scratch.Write("model.safetensors", Shard({{"x", 1}}));
  EXPECT_THAT(RefusalToOpen(scratch.path()), HasSubstr("index.json: cannot be opened"));
}

}  // namespace
}  // namespace attention
