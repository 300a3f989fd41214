// The float64 decoder against the golden files, which were made by another program.
#include "src/qwen3/decoder/decoder_reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>

#include "src/qwen3/checkpoint/safetensors.h"

namespace attention {
namespace {

// Golden values are float64 rounded to float32.
constexpr double kTolerance = 1e-7;

std::vector<float> Floats(const StoredTensor& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  tensor.ReadFloats(0, values);
  return values;
}

void ExpectClose(std::span<const double> actual, std::span<const float> expected, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size());
  double error = 0, norm = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    error += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    norm += static_cast<double>(expected[i]) * expected[i];
  }
  EXPECT_LE(std::sqrt(error), kTolerance * std::sqrt(norm)) << what;
}

TEST(DecoderReferenceTest, BlocksAndLayers) {
  const Communicator world(MPI_COMM_WORLD);
  for (const char* name :
       {"block_causal", "block_full", "block_one_token", "block_head_dim_80", "layer_causal"}) {
    const std::string path = std::string("src/qwen3/testdata/") + name + ".safetensors";
    const auto file = SafetensorsFile::Open(path);
    const auto source = MakeCheckpointSource(path);
    const auto number = [&](const char* key) { return std::stod(file->metadata().at(key)); };
    const std::vector<int64_t> shape = file->Get("hidden_states").shape;
    ReferenceSetup setup;
    setup.source = source.get();
    setup.batch = shape[0];
    setup.tokens = shape[1];
    setup.mask = file->metadata().at("causal") == "true" ? Mask::Causal() : Mask::Full();
    setup.config.hidden_size = shape[2];
    setup.config.query_heads = static_cast<int64_t>(number("num_attention_heads"));
    setup.config.kv_heads = static_cast<int64_t>(number("num_key_value_heads"));
    setup.config.head_dim = static_cast<int64_t>(number("head_dim"));
    setup.config.rms_norm_epsilon = number("rms_norm_eps");
    setup.config.rope_theta = number("rope_theta");
    const StoredTensor* gate = file->Find("model.layers.0.mlp.gate_proj.weight");
    if (gate != nullptr) setup.config.intermediate_size = gate->shape[0];

    const DecoderReference reference(world, setup);
    const IndexRange own = reference.own_tokens();
    const std::vector<float> hidden = Floats(file->Get("hidden_states")),
                             output = Floats(file->Get("expected_output"));
    std::vector<int64_t> wanted;
    for (int64_t t = 0; t < setup.tokens; t += 2) wanted.push_back(t);
    std::vector<double> x;
    std::vector<float> expected;
    for (int64_t b = 0; b < setup.batch; ++b) {
      for (int64_t t = own.begin; t < own.end; ++t) {
        const auto row = static_cast<std::ptrdiff_t>((b * setup.tokens + t) * shape[2]);
        x.insert(x.end(), hidden.begin() + row, hidden.begin() + row + shape[2]);
        if (t % 2 == 0)
          expected.insert(expected.end(), output.begin() + row, output.begin() + row + shape[2]);
      }
    }
    ExpectClose(gate != nullptr ? reference.Layer(0, x, wanted) : reference.Block(0, x, wanted), expected,
                name);
  }
}

TEST(DecoderReferenceTest, LastTokenLogitsOfModels) {
  const Communicator world(MPI_COMM_WORLD);
  for (const char* name : {"model_untied", "model_tied_bfloat16", "model_yarn_bias", "model_windows"}) {
    const std::string path = std::string("src/qwen3/testdata/") + name;
    const auto golden = SafetensorsFile::Open(path + ".golden.safetensors");
    const auto source = MakeCheckpointSource(path);
    const StoredTensor& stored = golden->Get("input_ids");
    std::vector<int64_t> ids(static_cast<size_t>(stored.elements()));
    std::memcpy(ids.data(), stored.data.data(), stored.data.size());
    const std::vector<float> logits = Floats(golden->Get("expected_logits"));
    ReferenceSetup setup;
    setup.config = Qwen3Config::FromFile(path + "/config.json");
    setup.source = source.get();
    for (int64_t tokens : {1, 2, 40, static_cast<int>(ids.size())}) {
      setup.tokens = tokens;
      const auto actual =
          DecoderReference(world, setup)
              .LastTokenLogits(std::span<const int64_t>(ids).first(static_cast<size_t>(tokens)));
      const size_t vocabulary = static_cast<size_t>(setup.config.vocabulary_size);
      ExpectClose(
          actual,
          std::span<const float>(logits).subspan(static_cast<size_t>(tokens - 1) * vocabulary, vocabulary),
          name);
    }
  }
}

}  // namespace
}  // namespace attention
