// What config.json may say: read, the value that is computed, or known not to matter; refused by name
// otherwise.
#include "src/qwen3/checkpoint/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <string>

#include "src/base/error.h"
#include "src/base/testing/refusal.h"
#include "src/qwen3/testing/safetensors_writer.h"

namespace attention {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// As transformers 4.51 writes it.
json PlainConfig() {
  return json::parse(R"({
    "architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
    "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 16, "hidden_act": "silu", "hidden_size": 40,
    "initializer_range": 0.02, "intermediate_size": 72, "max_position_embeddings": 40960,
    "max_window_layers": 28, "model_type": "qwen3", "num_attention_heads": 6, "num_hidden_layers": 2,
    "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000,
    "sliding_window": null, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
    "transformers_version": "4.51.0", "use_cache": true, "use_sliding_window": false, "vocab_size": 83})");
}

Qwen3Config Read(const std::string& text) {
  const ScratchDirectory scratch;
  return Qwen3Config::FromFile(scratch.Write("config.json", text));
}

// Empty if it is taken.
std::string RefusalOf(const std::string& text) {
  return Refusal([&] { Read(text); });
}

// The plain config with keys set, given as a JSON object.
std::string With(const std::string& changes) {
  json config = PlainConfig();
  config.update(json::parse(changes));
  return config.dump();
}

std::string Without(const char* key, const std::string& changes = "{}") {
  json config = PlainConfig();
  config.erase(key);
  config.update(json::parse(changes));
  return config.dump();
}

TEST(ConfigTest, ReadsWhatTransformers4Writes) {
  const Qwen3Config config = Read(PlainConfig().dump());
  EXPECT_EQ(config.hidden_size, 40);
  EXPECT_EQ(config.intermediate_size, 72);
  EXPECT_EQ(config.layers, 2);
  EXPECT_EQ(config.query_heads, 6);
  EXPECT_EQ(config.kv_heads, 2);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.vocabulary_size, 83);
  EXPECT_EQ(config.rms_norm_epsilon, 1e-6);
  EXPECT_EQ(config.rope_theta, 1e6);
  EXPECT_TRUE(config.tied_embeddings);
  EXPECT_FALSE(Read(Without("tie_word_embeddings")).tied_embeddings);
}

TEST(ConfigTest, ReadsWhatTransformers5Writes) {
  json config = PlainConfig();
  for (const char* old : {"rope_scaling", "rope_theta", "torch_dtype"}) config.erase(old);
  config.update(json::parse(R"({"dtype": "bfloat16", "layer_types": ["full_attention", "full_attention"],
    "rope_parameters": {"rope_theta": 5000000, "rope_type": "default"}, "pad_token_id": null})"));
  EXPECT_EQ(Read(config.dump()).rope_theta, 5e6);
}

TEST(ConfigTest, RopeThetaFromWhereverItStands) {
  EXPECT_EQ(Read(With(R"({"rope_parameters": {"rope_type": "default"}, "rope_theta": 5000})")).rope_theta,
            5e3);
  EXPECT_EQ(Read(With(R"({"rope_scaling": {"rope_type": "default"}})")).rope_theta, 1e6);
  EXPECT_EQ(Read(With(R"({"rope_scaling": {"type": "default", "factor": 1.0}})")).rope_theta, 1e6);
  EXPECT_EQ(Read(With(R"({"rope_parameters": {"rope_theta": 1000000.0}})")).rope_theta, 1e6);
  EXPECT_EQ(Read(Without("rope_theta", R"({"rope_scaling": {"rope_theta": 70}})")).rope_theta, 70);
  EXPECT_THAT(RefusalOf(Without("rope_theta")), HasSubstr("'rope_theta' is missing"));
  EXPECT_THAT(RefusalOf(With(R"({"rope_parameters": {"rope_type": "default", "rope_theta": 5000}})")),
              HasSubstr("rope_theta is 5000 in 'rope_parameters' and 1e+06 in 'rope_theta'"));
}

TEST(ConfigTest, ReadsScaledRotaryEmbeddings) {
  const RotaryScaling linear =
      Read(With(R"({"rope_scaling": {"type": "linear", "factor": 2}})")).rope_scaling;
  EXPECT_EQ(linear.kind, RotaryScalingKind::kLinear);
  EXPECT_EQ(linear.factor, 2);
  EXPECT_EQ(linear.magnitude, 1);
  // The snippet of the model cards, and what transformers 5 makes of it.
  const RotaryScaling yarn = Read(With(R"({"rope_scaling":
           {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}})"))
                                 .rope_scaling;
  EXPECT_EQ(yarn.kind, RotaryScalingKind::kYarn);
  EXPECT_EQ(yarn.original_positions, 32768);
  const RotaryScaling same =
      Read(Without("rope_theta", R"({"rope_scaling": null, "rope_parameters": {"rope_theta": 1000000,
           "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}})"))
          .rope_scaling;
  EXPECT_EQ(yarn, same);
  EXPECT_EQ(
      Read(With(R"({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}})")).rope_scaling.original_positions,
      40960);
  EXPECT_THAT(RefusalOf(Without("max_position_embeddings",
                                R"({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}})")),
              HasSubstr("'original_max_position_embeddings' is missing"));
  EXPECT_THAT(RefusalOf(With(R"({"rope_scaling": {"rope_type": "linear", "factor": 2},
                                 "rope_parameters": {"rope_type": "linear", "factor": 4}})")),
              HasSubstr("'rope_parameters' and 'rope_scaling' scale the rotary embedding differently"));
  EXPECT_THAT(RefusalOf(With(R"({"rope_theta": 2,
                                 "rope_scaling": {"rope_type": "yarn", "factor": 4.0}})")),
              HasSubstr("no pair turns fewer"));
}

TEST(ConfigTest, ReadsAttentionBias) {
  EXPECT_TRUE(Read(With(R"({"attention_bias": true})")).attention_bias);
  EXPECT_FALSE(Read(With(R"({"attention_bias": null})")).attention_bias);
  EXPECT_FALSE(Read(Without("attention_bias")).attention_bias);
}

TEST(ConfigTest, OtherRotaryEmbeddingsAreRefusedByName) {
  for (const char* rope : {R"({"rope_type": "yarn"})",
                           R"({"type": "linear", "factor": 0.5})",
                           R"({"factor": 4.0})",
                           R"({"rope_type": "linear", "type": "yarn", "factor": 4})",
                           R"({"rope_type": "longrope", "factor": 4})",
                           R"({"rope_type": "linear", "factor": 2, "beta_fast": 32})",
                           R"({"rope_type": "yarn", "factor": 4, "beta_fast": 1, "beta_slow": 2})",
                           R"({"rope_type": "yarn", "factor": 4, "truncate": "false"})",
                           R"({"rope_type": "yarn", "factor": 4, "truncate": null})",
                           R"({"rope_type": "yarn", "factor": "4"})",
                           R"({"rope_type": "yarn", "factor": 4, "attn_factor": 1})",
                           R"({"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 0})",
                           R"({"rope_type": "default", "factor": 4.0})",
                           R"({"rope_type": "default", "mrope_section": [1, 2]})",
                           R"({"rope_type": "dynamic"})",
                           R"({"rope_type": "default", "partial_rotary_factor": 0.5})",
                           R"({"rope_type": 3})",
                           R"({"full_attention": {"rope_type": "default"}})",
                           R"("default")",
                           "[]",
                           "4.0",
                           R"({"rope_type": "default", "original_max_position_embeddings": 16})",
                           R"({"rope_type": "default", "rope_theta": "10000"})"}) {
    for (const char* key : {"rope_scaling", "rope_parameters"}) {
      EXPECT_THAT(RefusalOf(With(std::string("{\"") + key + "\": " + rope + "}")),
                  HasSubstr(std::string("'") + key + "'"))
          << rope;
    }
  }
}

TEST(ConfigTest, ValuesThatAreNotComputedAreRefusedByName) {
  const char* const cases[] = {R"({"model_type": "qwen3_moe"})",
                               R"({"model_type": ["qwen3"]})",
                               R"({"model_type": null})",
                               R"({"hidden_act": "gelu"})",
                               R"({"hidden_act": null})",
                               R"({"architectures": ["Qwen3ForSequenceClassification"]})",
                               R"({"architectures": "Qwen3ForCausalLM"})",
                               R"({"architectures": []})",
                               R"({"attention_bias": "false"})",
                               R"({"attention_bias": "true"})",
                               R"({"attention_bias": 0})",
                               R"({"mlp_bias": true})",
                               R"({"use_sliding_window": true})",
                               R"({"use_sliding_window": "false"})",
                               R"({"layer_types": ["sliding_attention", "full_attention"]})",
                               R"({"layer_types": ["full_attention"]})",
                               R"({"layer_types": "full_attention"})",
                               R"({"layer_types": {}})",
                               R"({"layer_types": [true, "full_attention"]})",
                               R"({"layer_types": ["full_attention", "chunked_attention"]})",
                               R"({"layer_types": ["full_attention", "full_attention", "full_attention"]})",
                               R"({"layer_types": []})",
                               R"({"partial_rotary_factor": 0.5})",
                               R"({"rope_interleaved": true})",
                               R"({"quantization_config": {"quant_method": "fp8"}})",
                               R"({"quantization": {"bits": 4}})",
                               R"({"auto_map": {"AutoConfig": "x.X"}})",
                               R"({"is_causal": "false"})",
                               R"({"use_bidirectional_attention": true})",
                               R"({"num_experts": 8})",
                               R"({"final_logit_softcapping": 30.0})",
                               R"({"query_pre_attn_scalar": 256})",
                               R"({"torch_dtype": "float8_e4m3fn"})",
                               R"({"dtype": 16})",
                               R"({"tie_word_embeddings": 1})",
                               R"({"tie_word_embeddings": "false"})",
                               R"({"tie_word_embeddings": null})",
                               R"({"per_layer_config": {"0": {"head_dim": 8}}})",
                               R"({"a_key_of_tomorrow": false})",
                               R"({"a_key_of_tomorrow": "x"})",
                               R"({"a_key_of_tomorrow": {}})",
                               R"({"hidden_size": "40"})",
                               R"({"num_hidden_layers": 2.0})",
                               R"({"num_hidden_layers": 1000000})",
                               R"({"rms_norm_eps": "1e-06"})",
                               R"({"rms_norm_eps": 0})",
                               R"({"rope_theta": true})",
                               R"({"head_dim": null})"};
  for (const char* changes : cases) {
    const std::string key = json::parse(changes).items().begin().key();
    EXPECT_THAT(RefusalOf(With(changes)), HasSubstr("'" + key + "'")) << changes;
  }
}

TEST(ConfigTest, WhatDoesNotMatterIsTaken) {
  for (
      const char* changes :
      {R"({"architectures": ["Qwen3Model"]})",
       R"({"unsloth_fixed": true, "unsloth_version": "2025.7.8", "_name_or_path": "x"})",
       R"({"sliding_window": 4096, "max_window_layers": 1, "max_position_embeddings": 16})",
       R"({"quantization_config": null, "partial_rotary_factor": 1.0, "is_causal": true, "pruned_heads": {}})",
       R"({"layer_types": null, "architectures": null, "attention_bias": null, "is_causal": null, "a_key": null})",
       R"({"eos_token_id": [1, 2], "use_cache": false, "temperature": 0.6, "id2label": {"0": "LABEL_0"}})",
       R"({"torch_dtype": "torch.float16", "dtype": null, "output_attentions": false})"}) {
    EXPECT_EQ(RefusalOf(With(changes)), "") << changes;
  }
}

TEST(ConfigTest, LayersThatSlide) {
  EXPECT_FALSE(Read(PlainConfig().dump()).slides());
  const std::string types = R"("layer_types": ["full_attention", "sliding_attention"], )";
  const Qwen3Config config =
      Read(With("{" + types + R"("use_sliding_window": true, "sliding_window": 7, "max_window_layers": 9})"));
  EXPECT_TRUE(config.slides());
  EXPECT_EQ(config.layer_type(0), LayerType::kFullAttention);
  EXPECT_EQ(config.layer_type(1), LayerType::kSlidingAttention);
  EXPECT_EQ(config.sliding_window, 7);
  // A window that no layer has.
  EXPECT_FALSE(Read(With(R"({"layer_types": ["full_attention", "full_attention"],
                             "use_sliding_window": true})"))
                   .slides());
  for (const char* window : {"null", "0", "-4", "2.5", "\"7\"", "true"}) {
    EXPECT_THAT(
        RefusalOf(With("{" + types + R"("use_sliding_window": true, "sliding_window": )" + window + "}")),
        HasSubstr("'sliding_window'"));
  }
  EXPECT_THAT(RefusalOf(With("{" + types + R"("sliding_window": 7})")), HasSubstr("'use_sliding_window'"));
  EXPECT_THAT(RefusalOf(With("{" + types +
                             R"("use_sliding_window": true, "sliding_window": 7, "is_causal": false})")),
              HasSubstr("'is_causal'"));
  EXPECT_THAT(RefusalOf(With(R"({"use_sliding_window": true, "sliding_window": 4, "max_window_layers": 1})")),
              HasSubstr("no 'layer_types'"));
}

TEST(ConfigTest, ModelsThatPredictNothing) {
  Read(PlainConfig().dump()).RequireNextTokens("x");
  const Qwen3Config both_ways = Read(With(R"({"is_causal": false})"));
  EXPECT_FALSE(both_ways.is_causal);
  EXPECT_THROW(both_ways.RequireNextTokens("x"), Error);
  const Qwen3Config headless =
      Read(With(R"({"architectures": ["Qwen3Model"], "tie_word_embeddings": false})"));
  EXPECT_FALSE(headless.has_lm_head);
  EXPECT_THROW(headless.RequireNextTokens("x"), Error);
  const Qwen3Config tied = Read(With(R"({"architectures": ["Qwen3Model"], "tie_word_embeddings": true})"));
  EXPECT_TRUE(tied.has_lm_head);
  tied.RequireNextTokens("x");
}

TEST(ConfigTest, FilesThatAreNoConfig) {
  const std::string plain = PlainConfig().dump();
  EXPECT_THAT(RefusalOf(plain + std::string("\0{}", 3)), HasSubstr("a NUL"));
  EXPECT_THAT(RefusalOf(plain + "{}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(RefusalOf(R"({"hidden_size": 1, "hidden_size": 2})"), HasSubstr("appears twice"));
  EXPECT_THAT(RefusalOf("{\"a\nb\": 1, \"a\\nb\": 1}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(RefusalOf("[]"), HasSubstr("JSON object"));
  const ScratchDirectory scratch;
  const std::string fifo = scratch.path() + "/config.json";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THROW(Qwen3Config::FromFile(fifo), Error);
}

// As numbers of --verify's metadata come; the products must not overflow before they are looked at.
TEST(ConfigTest, SizesOutOfRange) {
  Qwen3Config config = Read(PlainConfig().dump());
  config.query_heads = config.kv_heads = int64_t{1} << 60;
  config.head_dim = int64_t{1} << 60;
  EXPECT_THROW(config.Check("x"), Error);
  config.query_heads = config.kv_heads = config.head_dim = int64_t{1} << 20;
  EXPECT_THROW(config.Check("x"), Error);
}

}  // namespace
}  // namespace attention
