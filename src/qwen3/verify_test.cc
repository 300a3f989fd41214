// Every golden block and layer, every variant inside a decoder, every ISA; run at several rank counts.
#include "src/qwen3/verify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "src/base/error.h"
#include "src/base/testing/refusal.h"
#include "src/kernels/attention_kernel.h"
#include "src/qwen3/testing/safetensors_writer.h"

namespace attention {
namespace {

std::vector<std::string> GoldenFiles() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator("src/qwen3/testdata")) {
    const std::string name = entry.path().filename();
    if (name.starts_with("block_") || name.starts_with("layer_")) files.push_back(entry.path());
  }
  return files;
}

VerifyRequest EveryIsa(int threads) {
  VerifyRequest request;
  request.isas = SupportedIsas();
  request.threads = threads;
  request.backend = MakeAttentionKernel;
  return request;
}

TEST(VerifyTest, GoldenFilesOnEveryVariantAndIsa) {
  Communicator world(MPI_COMM_WORLD);
  const std::vector<std::string> files = GoldenFiles();
  EXPECT_EQ(files.size(), 15u);
  for (const std::string& file : files) {
    const auto results = VerifyFile(world, file, EveryIsa(1), nullptr);
    // 3 headwise, 3 x 3 sequence(allgather), 3 each of sequence(ring),
    // (merge), (mesh) and (shared).
    EXPECT_EQ(results.size(), 24 * SupportedIsas().size());
    for (const VerifyResult& result : results) {
      EXPECT_TRUE(result.passed) << file << " " << Name(result.variant) << " " << Name(result.isa)
                                 << " rel_l2 " << result.rel_l2_err << " tolerance " << result.tolerance
                                 << " non-finite " << result.non_finite;
    }
  }
}

TEST(VerifyTest, TwoThreadsAgreeToo) {
  Communicator world(MPI_COMM_WORLD);
  VerifyRequest request = EveryIsa(2);
  request.algorithm = AttentionAlgorithm::kOnlineSoftmax;
  for (const char* name : {"block_causal", "layer_head_dim_80"}) {
    const std::string file = std::string("src/qwen3/testdata/") + name + ".safetensors";
    for (const VerifyResult& result : VerifyFile(world, file, request, nullptr)) {
      EXPECT_TRUE(result.passed) << name << " " << Name(result.variant) << " " << Name(result.isa);
    }
  }
}

TEST(VerifyTest, NamedVariantsOnly) {
  Communicator world(MPI_COMM_WORLD);
  VerifyRequest request = EveryIsa(1);
  request.strategy = ParallelStrategy::kSequence;
  request.exchange = Exchange::kRing;
  request.sharding = Sharding::kZigzag;
  request.isas = {Isa::kScalar};
  const std::string file = "src/qwen3/testdata/block_causal.safetensors";
  EXPECT_EQ(VerifyFile(world, file, request, nullptr).size(), 1u);
  request.algorithm = AttentionAlgorithm::kStandard;
  EXPECT_THROW(VerifyFile(world, file, request, nullptr), Error);
}

// What VerifyFile says on this rank; every rank must say something.
std::string RefusalOf(Communicator& world, const std::string& path) {
  return Refusal([&] { VerifyFile(world, path, EveryIsa(1), nullptr); });
}

TEST(VerifyTest, RefusesFilesThatAreNotWhatTheyShouldBe) {
  Communicator world(MPI_COMM_WORLD);
  const ScratchDirectory scratch;  // of each rank
  EXPECT_NE(RefusalOf(world, scratch.path() + "/none.safetensors").find("cannot be opened"),
            std::string::npos);
  const auto with_header = [&](const std::string& header, size_t bytes) {
    return RefusalOf(world,
                     scratch.Write("a.safetensors", SafetensorsBytes(header, std::string(bytes, '\0'))));
  };
  EXPECT_NE(with_header("{}", 0).find("metadata 'num_attention_heads' is missing"), std::string::npos);
  const std::string metadata =
      R"("__metadata__":{"num_attention_heads":"2","num_key_value_heads":"1","head_dim":"2",)"
      R"("rms_norm_eps":"1e-6","rope_theta":"10000","causal":"true"})";
  EXPECT_NE(with_header("{" + metadata + "}", 0).find("tensor 'hidden_states' is missing"),
            std::string::npos);
  EXPECT_NE(with_header(
                "{" + metadata + R"(,"hidden_states":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})", 12)
                .find("[batch, tokens, hidden]"),
            std::string::npos);
  std::string odd = metadata;
  odd.replace(odd.find(R"("2")"), 3, R"("x")");
  EXPECT_NE(with_header("{" + odd + "}", 0).find("should be a positive number"), std::string::npos);
  EXPECT_NE(with_header("{" + metadata +
                            R"(,"hidden_states":{"dtype":"F32","shape":[1,1,1],"data_offsets":[0,4]})" +
                            R"(,"expected_output":{"dtype":"F32","shape":[1,1,2],"data_offsets":[4,12]}})",
                        12)
                .find("tensor 'expected_output': expected shape [1, 1, 1]"),
            std::string::npos);
}

// A golden file taken apart, to be put together with changes.
struct Golden {
  nlohmann::json header;
  std::string data;

  static Golden Read(const std::string& name) {
    std::ifstream file("src/qwen3/testdata/" + name + ".safetensors", std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    uint64_t length;
    std::memcpy(&length, bytes.data(), sizeof length);
    return {nlohmann::json::parse(bytes.substr(8, length)), bytes.substr(8 + length)};
  }
  std::string Bytes() const { return SafetensorsBytes(header.dump(), data); }

  // The values of an F32 tensor, to change in place.
  std::span<float> Values(const std::string& name) {
    const nlohmann::json& offsets = header.at(name).at("data_offsets");
    const size_t begin = offsets[0], end = offsets[1];
    // The data begins at an allocation, tensors at multiples of 4.
    return {reinterpret_cast<float*>(data.data() + begin), (end - begin) / sizeof(float)};
  }
  void Add(const std::string& name, const std::vector<float>& values) {
    const size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    header[name] = {{"dtype", "F32"}, {"shape", {values.size()}}, {"data_offsets", {begin, data.size()}}};
  }
};

struct Outcome {
  int passed = 0, failed = 0;
  std::string error;
  ExitStatus status = ExitStatus::kOk;
};

Outcome Verify(Communicator& world, const Golden& golden) {
  const ScratchDirectory scratch;  // of each rank
  const std::string path = scratch.Write("a.safetensors", golden.Bytes());
  VerifyRequest request = EveryIsa(1);
  request.isas = {Isa::kScalar};
  Outcome outcome;
  try {
    for (const VerifyResult& result : VerifyFile(world, path, request, nullptr)) {
      ++(result.passed ? outcome.passed : outcome.failed);
      EXPECT_LE(result.tolerance, kVerifyToleranceCap);
    }
  } catch (const Error& error) {
    outcome.error = error.what();
    outcome.status = error.status();
    EXPECT_EQ(outcome.error.find('\n'), std::string::npos) << outcome.error;
  }
  return outcome;
}

constexpr char kAttention[] = "model.layers.0.self_attn.";

// However large the norm weights, and with them what rounding may do: a wrong answer does not pass.
TEST(VerifyTest, WrongAnswersNeverPass) {
  Communicator world(MPI_COMM_WORLD);
  for (const float scale : {1.0f, 30.0f, 1e3f, 1e6f, 1e15f}) {
    for (const float factor : {-1.0f, 0.98f, 1.5f}) {
      Golden golden = Golden::Read("block_causal");
      for (const char* norm : {"q_norm.weight", "k_norm.weight"}) {
        for (float& value : golden.Values(std::string(kAttention) + norm)) value *= scale;
      }
      for (float& value : golden.Values("expected_output")) value *= factor;
      const Outcome outcome = Verify(world, golden);
      EXPECT_EQ(outcome.passed, 0) << scale << " " << factor;
      if (scale < 100) {
        EXPECT_GT(outcome.failed, 0) << scale << " " << factor;
      } else if (scale < 1e10f) {
        EXPECT_NE(outcome.error.find("undecidable"), std::string::npos) << outcome.error;
        EXPECT_EQ(outcome.status, ExitStatus::kCaseFailed);
      }
    }
  }
}

// An output whose norm is that of one row: the others are looked at too.
TEST(VerifyTest, OneLargeRowHidesNoOther) {
  Communicator world(MPI_COMM_WORLD);
  Golden golden = Golden::Read("block_one_token");
  // Two sequences of one token, the second 2^20 times the first: outputs are in proportion.
  std::span<float> hidden = golden.Values("hidden_states"), expected = golden.Values("expected_output");
  std::vector<float> inputs(hidden.begin(), hidden.end()), outputs(expected.begin(), expected.end());
  const size_t width = inputs.size();
  for (size_t i = 0; i < width; ++i) {
    inputs.push_back(inputs[i] * 0x1p20f);
    outputs.push_back(outputs[i] * 0x1p20f);
  }
  const auto with = [&](float factor) {
    Golden changed = golden;
    std::vector<float> spoiled = outputs;
    for (size_t i = 0; i < width; ++i) spoiled[i] *= factor;
    changed.Add("hidden_states", inputs);
    changed.Add("expected_output", spoiled);
    for (const char* name : {"hidden_states", "expected_output"})
      changed.header[name]["shape"] = {2, 1, width};
    // What stood there before has to keep a name for the file to be whole.
    changed.header["x.inv_freq"] = golden.header["hidden_states"];
    changed.header["y.inv_freq"] = golden.header["expected_output"];
    return Verify(world, changed);
  };
  const Outcome right = with(1);
  EXPECT_GT(right.passed, 0) << right.error;
  EXPECT_EQ(right.failed, 0);
  EXPECT_EQ(with(-1).passed, 0);
}

TEST(VerifyTest, WhatDecidesNothing) {
  Communicator world(MPI_COMM_WORLD);
  Golden golden = Golden::Read("block_causal");
  std::ranges::fill(golden.Values("expected_output"), 0.0f);
  const Outcome outcome = Verify(world, golden);
  EXPECT_NE(outcome.error.find("nothing can be decided"), std::string::npos) << outcome.error;
  EXPECT_EQ(outcome.status, ExitStatus::kCaseFailed);
  for (const char* name : {"hidden_states", "expected_output", "model.layers.0.self_attn.q_norm.weight",
                           "model.layers.0.self_attn.v_proj.weight"}) {
    for (const float odd :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      golden = Golden::Read("block_causal");
      golden.Values(name)[3] = odd;
      EXPECT_NE(Verify(world, golden).error.find(std::string("tensor '") + name + "': holds NaN or infinity"),
                std::string::npos);
    }
  }
}

// Sparse: reading it would fill the memory with zeros.
TEST(VerifyTest, FilesOfEndlessSize) {
  Communicator world(MPI_COMM_WORLD);
  const ScratchDirectory scratch;
  const std::string header = R"({"hidden_states":{"dtype":"F32","shape":[1,4294967296,1],)"
                             R"("data_offsets":[0,17179869184]}})";
  const std::string path = scratch.Write("a.safetensors", SafetensorsBytes(header, ""));
  std::filesystem::resize_file(path, 8 + header.size() + (uintmax_t{1} << 34));
  EXPECT_NE(RefusalOf(world, path).find("holds 17179869184 bytes"), std::string::npos);
}

TEST(VerifyTest, WhatAFileSaysBesides) {
  Communicator world(MPI_COMM_WORLD);
  for (const char* name : {"model.layers.0.self_attn.q_proj.bias", "model.layers.0.input_layernorm.weight",
                           "model.layers.1.self_attn.q_norm.weight", "attention_mask"}) {
    Golden golden = Golden::Read("block_causal");
    golden.Add(name, {1, 2});
    EXPECT_NE(Verify(world, golden).error.find(std::string("tensor '") + name + "': is not read"),
              std::string::npos);
  }
  const auto with = [&](const char* key, const char* value) {
    Golden golden = Golden::Read("block_causal");
    golden.header["__metadata__"][key] = value;
    return Verify(world, golden);
  };
  const char* const odd[][2] = {{"attention_bias", "1"},
                                {"sliding_window_size", "4"},
                                {"partial_rotary_factor", "0.5"},
                                {"rope_scaling", "{\"rope_type\": \"yarn\"}"},
                                {"rope_scaling", "linear"},
                                {"rope_parameters", "{\"rope_type\": \"default\", \"rope_theta\": 10000.0}"},
                                {"use_sliding_window", "true"},
                                {"rms_norm_eps", "inf"},
                                {"rope_theta", "nan"},
                                {"head_dim", "9999999999999999"},
                                {"causal", "True"},
                                {"layer_types", "['sliding_attention']"},
                                {"layer_types", "[\"sliding_attention\"]"},
                                {"use_sliding_window", "True"},
                                {"is_causal", "False"},
                                {"hidden_act", "gelu"}};
  for (const auto& [key, value] : odd) {
    const Outcome outcome = with(key, value);
    EXPECT_NE(outcome.error.find(std::string("'") + key + "'"), std::string::npos) << key << outcome.error;
    EXPECT_EQ(outcome.status, ExitStatus::kBadUsage);
  }
  const char* const harmless[][2] = {{"format", "pt"},
                                     {"attention_bias", "False"},
                                     {"rope_scaling", "None"},
                                     {"hidden_size", "64"},
                                     {"hidden_act", "silu"},
                                     {"layer_types", "[\"full_attention\", \"full_attention\"]"},
                                     {"use_sliding_window", "False"},
                                     {"sliding_window", "4"},
                                     {"is_causal", "True"},
                                     {"rope_scaling", "{\"rope_type\": \"default\"}"},
                                     {"rope_parameters", "{\"rope_type\": \"default\", \"rope_theta\": 1e6}"},
                                     {"max_position_embeddings", "40960"},
                                     {"transformers_version", "5.0.0"},
                                     {"dtype", "torch.float32"}};
  for (const auto& [key, value] : harmless) EXPECT_GT(with(key, value).passed, 0) << key << " " << value;
}

// What the recipe of docs/checkpoints.md writes of a stretched model under transformers 4 and 5.
TEST(VerifyTest, PositionsThatDoNotFollowEachOther) {
  Communicator world(MPI_COMM_WORLD);
  const auto with = [&](const std::vector<int32_t>& positions, std::vector<int64_t> shape) {
    Golden golden = Golden::Read("block_causal");
    std::vector<float> bits(positions.size());
    std::memcpy(bits.data(), positions.data(), positions.size() * sizeof(int32_t));
    golden.Add("position_ids", bits);
    golden.header["position_ids"]["dtype"] = "I32";
    golden.header["position_ids"]["shape"] = std::move(shape);
    return Verify(world, golden);
  };
  constexpr int32_t kTokens = 37;  // of two sequences
  std::vector<int32_t> plain(kTokens), shifted(kTokens);
  std::iota(plain.begin(), plain.end(), 0);
  std::iota(shifted.begin(), shifted.end(), 100);
  std::vector<int32_t> both = plain;
  both.insert(both.end(), shifted.begin(), shifted.end());
  EXPECT_GT(with(plain, {kTokens}).passed, 0);
  EXPECT_GT(with(shifted, {1, kTokens}).passed, 0);
  EXPECT_GT(with(both, {2, kTokens}).passed, 0);
  std::vector<int32_t> padded = plain;
  padded[1] = 0;
  std::vector<int32_t> before_the_first = plain;
  before_the_first[0] = std::numeric_limits<int32_t>::min();
  for (const Outcome& outcome :
       {with(padded, {kTokens}), with(before_the_first, {kTokens}), with({0, 1, 2}, {3}), with({}, {0})}) {
    EXPECT_NE(outcome.error.find("tensor 'position_ids': should be [37]"), std::string::npos)
        << outcome.error;
  }
}

TEST(VerifyTest, ScalingAsEitherTransformersHasIt) {
  Communicator world(MPI_COMM_WORLD);
  const std::string yarn = R"({"rope_type": "yarn", "factor": 2.0, "beta_fast": 8, "beta_slow": 0.25)";
  const std::string original = R"(, "original_max_position_embeddings": 64)",
                    theta = R"(, "rope_theta": 10000.0)";
  const std::map<std::string, std::string> recipes[] = {
      {{"rope_scaling", yarn + original + "}"}},
      {{"rope_scaling", yarn + "}"}, {"max_position_embeddings", "64"}},
      {{"rope_parameters", yarn + original + theta + "}"}},
      // Transformers 5 answers to both names.
      {{"rope_parameters", yarn + original + theta + "}"}, {"rope_scaling", yarn + original + theta + "}"}},
      {{"rope_parameters", yarn + theta + "}"}, {"max_position_embeddings", "64"}},
  };
  for (const auto& recipe : recipes) {
    Golden golden = Golden::Read("block_yarn");
    auto& metadata = golden.header["__metadata__"];
    metadata.erase("rope_scaling");
    for (const auto& [key, value] : recipe) metadata[key] = value;
    const Outcome outcome = Verify(world, golden);
    EXPECT_GT(outcome.passed, 0) << outcome.error << metadata;
    EXPECT_EQ(outcome.failed, 0) << metadata;
  }
}

}  // namespace
}  // namespace attention
