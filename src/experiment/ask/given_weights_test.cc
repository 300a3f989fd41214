// Checkpoints written here the way Hugging Face lays them out, through the door that --weights opens: logits
// against float64 on the values that went into the files.
#include "src/experiment/ask/given_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mpi.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "src/base/counter_random.h"
#include "src/base/error.h"
#include "src/experiment/ask/attach_weights.h"
#include "src/experiment/ask/experiment_file.h"
#include "src/kernels/attention_kernel.h"
#include "src/qwen3/decoder/decoder_reference.h"
#include "src/qwen3/decoder/model.h"
#include "src/qwen3/decoder/weights.h"
#include "src/qwen3/testing/online_variant.h"
#include "src/qwen3/testing/safetensors_writer.h"

namespace attention {
namespace {

using testing::HasSubstr;

// fp32 through two layers against float64, as in model_test.
constexpr double kTolerance = 5e-6;

Qwen3Config SmallConfig(bool tied) {
  Qwen3Config config;
  config.hidden_size = 40;
  config.intermediate_size = 72;
  config.layers = 2;
  config.query_heads = 6;
  config.kv_heads = 2;
  config.head_dim = 16;
  config.vocabulary_size = 83;
  config.tied_embeddings = tied;
  return config;
}

// Multiples of 2^-8 up to 2^-3, and norms 1 +- multiples of 2^-6: exact in F32, BF16 and F16, so that the
// three files hold the same model.
class ExactSource : public TensorSource {
 public:
  Reader Open(const std::string& name, const std::vector<int64_t>&) const override {
    const bool is_norm = name.ends_with("norm.weight");
    uint64_t stream = 7;
    for (char c : name) stream = RandomBits(stream, 1, static_cast<unsigned char>(c));
    return [=](int64_t begin, std::span<float> out) {
      for (size_t i = 0; i < out.size(); ++i) {
        const int64_t bits =
            static_cast<int64_t>(RandomBits(3, stream, static_cast<uint64_t>(begin) + i) >> 32);
        out[i] =
            is_norm ? 1 + static_cast<float>(bits % 33 - 16) / 64 : static_cast<float>(bits % 65 - 32) / 256;
      }
    };
  }
};

std::map<std::string, std::vector<int64_t>> TensorShapes(const Qwen3Config& config) {
  // Asking for every tensor of the model tells their names and shapes.
  class Recorder : public TensorSource {
   public:
    mutable std::map<std::string, std::vector<int64_t>> shapes;
    Reader Open(const std::string& name, const std::vector<int64_t>& shape) const override {
      shapes[name] = shape;
      return {};
    }
  } recorder;
  CheckTensors(recorder, config, WeightExtent::kModel);
  return recorder.shapes;
}

std::string Encode(float value, const std::string& type) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (type == "F32") return {reinterpret_cast<const char*>(&bits), 4};
  uint16_t half = static_cast<uint16_t>(bits >> 16);
  if (type == "F16" && value != 0) {
    half = static_cast<uint16_t>((bits >> 16 & 0x8000u) | (((bits >> 23 & 0xFFu) - 112) << 10) |
                                 (bits >> 13 & 0x3FFu));
  }
  return {reinterpret_cast<const char*>(&half), 2};
}

std::string FileBytes(const std::map<std::string, std::vector<int64_t>>& shapes, const std::string& type) {
  nlohmann::json header;
  std::string data;
  for (const auto& [name, shape] : shapes) {
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    std::vector<float> values(static_cast<size_t>(count));
    ExactSource().Open(name, shape)(0, values);
    const size_t begin = data.size();
    for (float value : values) data += Encode(value, type);
    header[name] = {{"dtype", type}, {"shape", shape}, {"data_offsets", {begin, data.size()}}};
  }
  return SafetensorsBytes(header.dump(), data);
}

std::string ConfigText(const Qwen3Config& config) {
  return nlohmann::json{{"model_type", "qwen3"},
                        {"hidden_size", config.hidden_size},
                        {"intermediate_size", config.intermediate_size},
                        {"num_hidden_layers", config.layers},
                        {"num_attention_heads", config.query_heads},
                        {"num_key_value_heads", config.kv_heads},
                        {"head_dim", config.head_dim},
                        {"vocab_size", config.vocabulary_size},
                        {"rms_norm_eps", config.rms_norm_epsilon},
                        {"rope_theta", config.rope_theta},
                        {"tie_word_embeddings", config.tied_embeddings}}
      .dump();
}

// A file with further tensors, all ones, of F32.
std::string FileWith(std::map<std::string, std::vector<int64_t>> shapes,
                     const std::map<std::string, std::vector<int64_t>>& more) {
  const std::string plain = FileBytes(shapes, "F32");
  uint64_t length;
  std::memcpy(&length, plain.data(), sizeof length);
  nlohmann::json header = nlohmann::json::parse(plain.substr(8, length));
  std::string data = plain.substr(8 + length);
  for (const auto& [name, shape] : more) {
    const size_t begin = data.size();
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    for (int64_t i = 0; i < count; ++i) data += Encode(1, "F32");
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, data.size()}}};
  }
  return SafetensorsBytes(header.dump(), data);
}

// model.safetensors, or `shards` files with their index.
void WriteCheckpoint(const ScratchDirectory& directory, const Qwen3Config& config, const std::string& type,
                     int shards) {
  directory.Write("config.json", ConfigText(config));
  const auto shapes = TensorShapes(config);
  if (shards == 1) {
    directory.Write("model.safetensors", FileBytes(shapes, type));
    return;
  }
  std::vector<std::map<std::string, std::vector<int64_t>>> parts(static_cast<size_t>(shards));
  nlohmann::json index;
  int next = 0;
  for (const auto& [name, shape] : shapes) {
    const int part = next++ % shards;
    parts[static_cast<size_t>(part)][name] = shape;
    index["weight_map"][name] = "part-" + std::to_string(part) + ".safetensors";
  }
  for (int part = 0; part < shards; ++part) {
    directory.Write("part-" + std::to_string(part) + ".safetensors",
                    FileBytes(parts[static_cast<size_t>(part)], type));
  }
  directory.Write("model.safetensors.index.json", index.dump());
}

std::string Complaint(const std::function<void()>& function) {
  try {
    function();
  } catch (const attention::Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::kBadUsage);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "";
}

double RelativeError(const std::vector<float>& actual, const std::vector<double>& expected) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    error += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(error / norm);
}

TEST(GivenWeightsTest, LogitsOfEveryTypeAndLayoutMatchFloat64) {
  Communicator world(MPI_COMM_WORLD);
  const std::vector<int64_t> ids = {5, 82, 0, 17, 17, 40, 3, 61, 9, 25, 33};
  for (const bool tied : {false, true}) {
    const Qwen3Config config = SmallConfig(tied);
    const ExactSource exact;
    ReferenceSetup setup{
        config, &exact, DataType::kFloat32, 1, static_cast<int64_t>(ids.size()), Mask::Causal(), 1, {}};
    const std::vector<double> expected = DecoderReference(world, setup).LastTokenLogits(ids);
    for (const char* type : {"F32", "BF16", "F16"}) {
      for (const int shards : {1, 3}) {
        const ScratchDirectory directory;
        WriteCheckpoint(directory, config, type, shards);
        const auto weights = OpenWeights(directory.path());
        for (const ParallelStrategy strategy : {ParallelStrategy::kHeadwise, ParallelStrategy::kSequence}) {
          ModelOptions options;
          options.variant = OnlineVariant(strategy);
          options.execution = {BestIsa(), 1, MakeAttentionKernel, true};
          options.max_tokens = 16;
          Qwen3Model model(world,
                           ModelStorage::Load(world, weights->config, *weights->source,
                                              {strategy, DataType::kFloat32, 1, {}}),
                           options);
          model.Prefill(ids);
          EXPECT_LT(RelativeError(model.LastTokenLogits(), expected), kTolerance)
              << type << " in " << shards << " files, " << Name(strategy) << (tied ? ", tied" : "");
        }
      }
    }
  }
}

TEST(GivenWeightsTest, ShapeComesFromTheConfig) {
  const ScratchDirectory directory;
  WriteCheckpoint(directory, SmallConfig(false), "F16", 2);
  const auto weights = OpenWeights(directory.path());
  EXPECT_EQ(weights->shape.name, "h6kv2d16n40l2");
  EXPECT_EQ(weights->shape.vocabulary_size, 83);
  RequireShape(*weights, weights->shape);
  EXPECT_THAT(Complaint([&] { RequireShape(*weights, *FindQwen3Shape("qwen3-0.6b")); }),
              HasSubstr("qwen3-0.6b has hidden_size 1024, " + directory.path() + "/config.json says 40"));
  const nlohmann::json record = DescribeWeights(*weights);
  EXPECT_EQ(record["path"], directory.path());
  EXPECT_EQ(record["files"].size(), 2u);
  EXPECT_EQ(record["data_types"], nlohmann::json({"F16"}));
  EXPECT_EQ(record["bytes"].get<int64_t>(), 2 * SmallConfig(false).parameters() + 2 * (40 * 5 + 16 * 4));
}

TEST(GivenWeightsTest, PublishedSizesKeepTheirName) {
  const ScratchDirectory directory;
  Qwen3Config config = Qwen3Config::FromShape(*FindQwen3Shape("qwen3-1.7b"));
  directory.Write("config.json", ConfigText(config));
  directory.Write("model.safetensors", SafetensorsBytes("{}", ""));
  EXPECT_EQ(OpenWeights(directory.path())->shape.name, "qwen3-1.7b");
}

std::string FingerprintOf(const std::string& path, WeightExtent extent = WeightExtent::kModel) {
  const Communicator world(MPI_COMM_WORLD);
  const auto weights = OpenWeights(path);
  SetFingerprint(*weights, extent, world);
  EXPECT_EQ(weights->fingerprint.size(), 64u);
  return weights->fingerprint;
}

// Two checkpoints of one shape must not be taken for the same cell of an experiment.
TEST(GivenWeightsTest, TheFingerprintTellsModelsApart) {
  const ScratchDirectory one, two, again;
  const Qwen3Config config = SmallConfig(false);
  WriteCheckpoint(one, config, "F32", 1);
  WriteCheckpoint(two, config, "BF16", 1);
  WriteCheckpoint(again, config, "F32", 3);
  const std::string fingerprint = FingerprintOf(one.path());
  EXPECT_NE(FingerprintOf(two.path()), fingerprint);
  EXPECT_EQ(FingerprintOf(again.path()), fingerprint);
  const Communicator itself(MPI_COMM_SELF);  // however the work was dealt
  const auto weights = OpenWeights(one.path());
  SetFingerprint(*weights, WeightExtent::kModel, itself);
  EXPECT_EQ(weights->fingerprint, fingerprint);
}

TEST(GivenWeightsTest, TheFingerprintSeesEveryByteThatIsReadAndTheConfig) {
  const ScratchDirectory directory;
  Qwen3Config config = SmallConfig(false);
  directory.Write("config.json", ConfigText(config));
  const std::string bytes = FileBytes(TensorShapes(config), "F32");
  directory.Write("model.safetensors", bytes);
  const std::string fingerprint = FingerprintOf(directory.path());
  const std::string block = FingerprintOf(directory.path(), WeightExtent::kBlock);
  EXPECT_NE(block, fingerprint);
  // The sign of the last value: of model.norm.weight, which a block does not read.
  std::string spoiled = bytes;
  spoiled.back() ^= '\x80';
  directory.Write("model.safetensors", spoiled);
  EXPECT_NE(FingerprintOf(directory.path()), fingerprint);
  EXPECT_EQ(FingerprintOf(directory.path(), WeightExtent::kBlock), block);
  // A bit somewhere in the middle of the embedding or the LM head.
  spoiled = bytes;
  spoiled[spoiled.size() / 9] ^= '\x01';
  directory.Write("model.safetensors", spoiled);
  EXPECT_NE(FingerprintOf(directory.path()), fingerprint);
  directory.Write("model.safetensors", bytes);
  config.rope_theta = 5e6;
  directory.Write("config.json", ConfigText(config));
  const std::string other_angles = FingerprintOf(directory.path());
  EXPECT_NE(other_angles, fingerprint);
  nlohmann::json sliding = nlohmann::json::parse(ConfigText(config));
  sliding["layer_types"] = std::vector<std::string>(static_cast<size_t>(config.layers), "sliding_attention");
  sliding["use_sliding_window"] = true;
  std::set<std::string> fingerprints = {fingerprint, other_angles};
  for (const int window : {3, 4}) {
    sliding["sliding_window"] = window;
    directory.Write("config.json", sliding.dump());
    fingerprints.insert(FingerprintOf(directory.path()));
  }
  EXPECT_EQ(fingerprints.size(), 4u);
}

// What computing would leave out is refused by name, or known to change nothing.
TEST(GivenWeightsTest, TensorsThatNobodyReads) {
  const ScratchDirectory directory;
  const Qwen3Config config = SmallConfig(false);
  directory.Write("config.json", ConfigText(config));
  const auto complaint = [&](const std::string& name, const std::vector<int64_t>& shape) {
    directory.Write("model.safetensors", FileWith(TensorShapes(config), {{name, shape}}));
    return Complaint([&] { OpenWeights(directory.path()); });
  };
  for (const char* name :
       {"model.layers.1.self_attn.q_proj.bias", "model.layers.0.mlp.down_proj.bias", "lm_head.bias",
        "model.layers.2.input_layernorm.weight", "model.layers.0.self_attn.q_proj.lora_A.weight",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_B.default.weight", "lora_A.weight",
        "model.layers.0.self_attn.q_proj.weight_scale", "model.layers.0.self_attn.q_proj.weight_scale_inv",
        "model.layers.0.mlp.up_proj.qweight", "lm_head.scales", "model.embed_tokens.weight_scale",
        "score.weight", "model.layers.0.self_attn.sinks", "model.layers.0.pre_feedforward_layernorm.weight",
        "model.norm.bias", "model.layers.00.input_layernorm.weight"}) {
    EXPECT_THAT(complaint(name, {4}), HasSubstr(std::string("tensor '") + name + "': is no part of"));
  }
  for (const char* name :
       {"model.rotary_emb.inv_freq", "model.layers.0.self_attn.rotary_emb.inv_freq",
        "model.layers.0.self_attn.rotary_emb.cos_cached", "model.position_ids", "freqs_cis", "aaa.big"}) {
    EXPECT_EQ(complaint(name, {4}), "") << name;
  }
  EXPECT_EQ(complaint("model.layers.0.self_attn.q_proj.bias", {0}), "");
}

TEST(GivenWeightsTest, QuantisedWeightsAreRefusedByTheirType) {
  const ScratchDirectory directory;
  nlohmann::json config = nlohmann::json::parse(ConfigText(SmallConfig(false)));
  config["quantization_config"] = {{"quant_method", "fp8"}};
  directory.Write("config.json", config.dump());
  const std::string header =
      R"({"model.layers.0.mlp.up_proj.weight":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}})";
  directory.Write("model.safetensors", SafetensorsBytes(header, "abcd"));
  EXPECT_THAT(Complaint([&] { OpenWeights(directory.path()); }),
              HasSubstr("expected dtype F32, BF16 or F16, is F8_E4M3"));
}

// The same file, its tensors' names without "model." in front.
std::string WithoutFirstPart(const std::string& file) {
  uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  const nlohmann::json header = nlohmann::json::parse(file.substr(8, length));
  nlohmann::json shorter;
  for (const auto& [name, tensor] : header.items()) shorter[name.substr(6)] = tensor;
  return SafetensorsBytes(shorter.dump(), file.substr(8 + length));
}

TEST(GivenWeightsTest, NamesWithoutTheirFirstPart) {
  const ScratchDirectory directory;
  const Qwen3Config config = SmallConfig(true);
  directory.Write("config.json", ConfigText(config));
  const std::string whole = FileBytes(TensorShapes(config), "F32");
  directory.Write("model.safetensors", WithoutFirstPart(whole));
  EXPECT_EQ(Complaint([&] { OpenWeights(directory.path()); }), "");
  // The same model, whatever its tensors are called.
  const ScratchDirectory named;
  named.Write("config.json", ConfigText(config));
  named.Write("model.safetensors", whole);
  EXPECT_EQ(FingerprintOf(directory.path()), FingerprintOf(named.path()));
  // Names of both kinds: which are meant?
  std::map<std::string, std::vector<int64_t>> shapes = {{"model.norm.weight", {config.hidden_size}}};
  for (const auto& [name, shape] : TensorShapes(config)) shapes[name.substr(6)] = shape;
  directory.Write("model.safetensors", FileBytes(shapes, "F32"));
  EXPECT_THAT(Complaint([&] { OpenWeights(directory.path()); }), HasSubstr("without 'model.' in front"));
}

TEST(GivenWeightsTest, AnLmHeadBesideTiedEmbeddings) {
  const ScratchDirectory directory;
  const Qwen3Config config = SmallConfig(true);
  directory.Write("config.json", ConfigText(config));
  const auto shapes = TensorShapes(config);
  const std::vector<int64_t> shape = {config.vocabulary_size, config.hidden_size};
  directory.Write("model.safetensors", FileWith(shapes, {{"lm_head.weight", shape}}));
  EXPECT_THAT(Complaint([&] { OpenWeights(directory.path()); }),
              HasSubstr("tensor 'lm_head.weight': differs from model.embed_tokens.weight"));
  // A copy of the embedding, as some writers leave it.
  std::string bytes = FileWith(shapes, {{"lm_head.weight", shape}});
  uint64_t length;
  std::memcpy(&length, bytes.data(), sizeof length);
  const nlohmann::json header = nlohmann::json::parse(bytes.substr(8, length));
  const auto begin = [&](const char* name) {
    return 8 + length + header[name]["data_offsets"][0].get<size_t>();
  };
  const size_t size = static_cast<size_t>(4 * shape[0] * shape[1]);
  bytes.replace(begin("lm_head.weight"), size, bytes.substr(begin("model.embed_tokens.weight"), size));
  directory.Write("model.safetensors", bytes);
  EXPECT_EQ(Complaint([&] { OpenWeights(directory.path()); }), "");
  bytes[begin("lm_head.weight") + size - 1] ^= '\x01';
  directory.Write("model.safetensors", bytes);
  EXPECT_THAT(Complaint([&] { OpenWeights(directory.path()); }), HasSubstr("differs from"));
}

TEST(GivenWeightsTest, WhatIsMissingIsNamedBeforeAnythingRuns) {
  const Communicator world(MPI_COMM_WORLD);
  const ScratchDirectory directory;
  Qwen3Config config = SmallConfig(false);
  WriteCheckpoint(directory, config, "BF16", 1);
  const auto complaint = [&](const std::string& text) {
    return Complaint([&] {
      ExperimentSpec spec = ParseExperiment(
          "name: x\nweights: " + directory.path() + "\n" + text + "grid: {variant: [headwise+standard]}\n",
          "x.yaml");
      AttachWeights(spec, world);
    });
  };
  EXPECT_EQ(complaint("scope: model\n"), "");
  EXPECT_THAT(complaint(""), HasSubstr("attention reads no weights"));
  EXPECT_THAT(complaint("scope: block\nmodel: qwen3-8b\n"),
              HasSubstr("x.yaml:4:8: model: qwen3-8b has hidden_size"));
  config.layers = 3;
  directory.Write("config.json", ConfigText(config));
  EXPECT_EQ(complaint("scope: layer\n"), "");  // layer 0 is there
  EXPECT_THAT(complaint("scope: model\n"), HasSubstr("'model.layers.2.self_attn.q_proj.weight' is missing"));
  config.layers = 2;
  config.intermediate_size = 96;
  directory.Write("config.json", ConfigText(config));
  EXPECT_EQ(complaint("scope: block\n"), "");
  EXPECT_THAT(complaint("scope: layer\n"),
              HasSubstr("'model.layers.0.mlp.gate_proj.weight': expected shape [96, 40], is [72, 40]"));
  std::filesystem::resize_file(directory.path() + "/model.safetensors", 20000);
  EXPECT_THAT(complaint("scope: block\n"), HasSubstr("truncated?"));
  std::filesystem::remove(directory.path() + "/config.json");
  std::filesystem::remove(directory.path() + "/model.safetensors");
  EXPECT_THAT(complaint("scope: block\n"), HasSubstr("holds neither model.safetensors nor"));
  directory.Write("model.safetensors", SafetensorsBytes("{}", ""));
  EXPECT_THAT(complaint("scope: block\n"), HasSubstr("config.json: cannot be opened"));
}

}  // namespace
}  // namespace attention
