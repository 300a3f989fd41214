#include "src/qwen3/checkpoint/config_keys.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>

#include "src/base/error.h"
#include "src/qwen3/checkpoint/strict_json.h"

namespace attention {
namespace {

// Keys that would change the arithmetic, with the one value, as JSON, that is computed here.
struct FixedKey {
  std::string_view key;
  const char* value;
};
constexpr FixedKey kFixedKeys[] = {
    {"model_type", R"("qwen3")"},
    {"hidden_act", R"("silu")"},
    {"architectures", R"(["Qwen3ForCausalLM"])"},
    // Attention.
    {"qkv_bias", "false"},
    {"use_bidirectional_attention", "false"},
    {"use_qk_norm", "true"},
    {"qk_norm", "true"},
    {"attn_logit_softcapping", "null"},
    {"final_logit_softcapping", "null"},
    {"cross_attention_hidden_size", "null"},
    {"add_cross_attention", "false"},
    {"is_encoder_decoder", "false"},
    {"tie_encoder_decoder", "false"},
    // Rotary embedding.
    {"partial_rotary_factor", "1"},
    {"rotary_pct", "1"},
    {"rope_interleaved", "false"},
    {"use_mrope", "false"},
    // The rest of a layer.
    {"mlp_bias", "false"},
    {"num_experts", "0"},
    {"pretraining_tp", "1"},
    {"pruned_heads", "{}"},
    // Multiples of muP models.
    {"embedding_multiplier", "1"},
    {"residual_multiplier", "1"},
    {"logits_scaling", "1"},
    {"logit_scale", "1"},
    // Weights that are not what they look like, or code that is not ours.
    {"quantization_config", "null"},
    {"quantization", "null"},
    {"compression_config", "null"},
    {"per_layer_config", "null"},
    {"auto_map", "null"},
};

// Keys that leave the result of a forward pass as it is, whatever they say: what transformers 4 and 5 and
// tools around them write beside the model. Token ids are given here and the end of a text is not looked for.
constexpr std::string_view kFreeKeys[] = {
    // Bookkeeping.
    "_attn_implementation", "_attn_implementation_autoset", "_commit_hash", "_name_or_path",
    "attn_implementation", "dtype", "finetuning_task", "name_or_path", "torch_dtype", "transformers_version",
    "unsloth_fixed", "unsloth_version", "_unsloth_fixed", "transformers.js_config", "model_name", "license",
    // The longest sequence asked for is the user's; which layers have a window is said by layer_types.
    "max_position_embeddings", "max_sequence_length", "model_max_length", "max_window_layers",
    // Training.
    "attention_dropout", "attention_probs_dropout_prob", "gradient_checkpointing", "hidden_dropout",
    "hidden_dropout_prob", "initializer_range", "residual_dropout", "router_aux_loss_coef",
    "output_router_logits", "use_bfloat16", "keys_to_ignore_at_inference",
    // What a call returns and how it is computed.
    "chunk_size_feed_forward", "is_decoder", "output_attentions", "output_hidden_states", "return_dict",
    "tf_legacy_loss", "torchscript", "use_cache", "use_return_dict", "base_model_tp_plan",
    "base_model_pp_plan", "tp_plan",
    // Heads of other tasks; architectures says that there is none.
    "classifier_dropout", "id2label", "label2id", "num_labels", "problem_type", "task_specific_params",
    // Tokens.
    "bos_token", "bos_token_id", "decoder_start_token_id", "eos_token", "eos_token_id", "pad_token",
    "pad_token_id", "prefix", "sep_token_id", "tokenizer_class", "unk_token_id",
    // Generation.
    "bad_words_ids", "begin_suppress_tokens", "diversity_penalty", "do_sample", "early_stopping",
    "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty", "forced_bos_token_id",
    "forced_eos_token_id", "generation_config", "length_penalty", "max_length", "max_new_tokens",
    "min_length", "min_p", "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences",
    "output_scores", "remove_invalid_values", "repetition_penalty", "return_dict_in_generate",
    "suppress_tokens", "temperature", "top_k", "top_p", "typical_p"};

[[noreturn]] void Refuse(const std::string& where, std::string_view key, const nlohmann::json& value,
                         const std::string& supported) {
  FailUsage(where, ": '", key, "' is ", JsonText(value), ", only ", supported, " is supported");
}

// Type of weights as a whole: a hint, the tensors say it each for itself. Others are quantised.
void CheckDataType(const std::string& key, const nlohmann::json& value, const std::string& where) {
  std::string name = value.is_string() ? value.get<std::string>() : "";
  if (name.starts_with("torch.")) name.erase(0, 6);
  for (const char* known : {"float32", "bfloat16", "float16", "auto"}) {
    if (name == known) return;
  }
  Refuse(where, key, value, "float32, bfloat16 or float16");
}

}  // namespace

void CheckUnreadKey(const std::string& key, const nlohmann::json& value, const std::string& where) {
  if (std::ranges::find(kFreeKeys, key) != std::end(kFreeKeys)) {
    if ((key == "dtype" || key == "torch_dtype") && !value.is_null()) CheckDataType(key, value, where);
    return;
  }
  for (const FixedKey& fixed : kFixedKeys) {
    if (key != fixed.key) continue;
    if (value == nlohmann::json::parse(fixed.value)) return;
    // model_type and hidden_act have no meaning of "not set".
    if (value.is_null() && key != "model_type" && key != "hidden_act") return;
    Refuse(where, key, value, fixed.value);
  }
  if (value.is_null()) return;
  FailUsage(where, ": '", Printable(key), "' is ", JsonText(value),
            ", a key that is not known here and could change the result; if it does not, take it out");
}

std::vector<LayerType> ReadLayerTypes(const nlohmann::json& config, int64_t layers,
                                      const std::string& where) {
  bool windows = false;
  if (config.contains("use_sliding_window") && !config["use_sliding_window"].is_null()) {
    const nlohmann::json& value = config["use_sliding_window"];
    if (!value.is_boolean()) Refuse(where, "use_sliding_window", value, "true or false");
    windows = value.get<bool>();
  }
  const auto given = config.find("layer_types");
  if (given == config.end() || given->is_null()) {
    if (windows) {
      FailUsage(where, ": 'use_sliding_window' is true, and no 'layer_types' says in which layers; older ",
                "readers of 'max_window_layers' did not agree: name every layer's type");
    }
    return {};
  }
  std::vector<LayerType> types;
  const auto refuse_unless = [&](bool is_known) {
    if (!is_known)
      Refuse(where, "layer_types", *given, R"(a list of "full_attention" and "sliding_attention")");
  };
  refuse_unless(given->is_array());
  for (const nlohmann::json& type : *given) {
    refuse_unless(type == "full_attention" || type == "sliding_attention");
    if (type == "sliding_attention" && !windows) {
      FailUsage(where, ": 'layer_types' has sliding_attention, and 'use_sliding_window' is not true");
    }
    types.push_back(type == "full_attention" ? LayerType::kFullAttention : LayerType::kSlidingAttention);
  }
  if (static_cast<int64_t>(types.size()) == layers) return types;
  FailUsage(where, ": 'layer_types' lists ", types.size(), " layers, 'num_hidden_layers' is ", layers);
}

RotaryEmbedding ReadRotaryEmbedding(const nlohmann::json& config, const std::string& where) {
  // Where they say two things, no reader knows which is meant.
  std::optional<double> theta;
  std::optional<RotaryScaling> scaling;
  const char *theta_from = nullptr, *scaling_from = nullptr;
  const auto take_theta = [&](const nlohmann::json& object, const char* key, const std::string& inside) {
    if (!object.contains("rope_theta") || object["rope_theta"].is_null()) return;
    const double value = ReadPositive(object, "rope_theta", inside);
    if (theta && *theta != value) {
      FailUsage(where, ": rope_theta is ", *theta, " in '", theta_from, "' and ", value, " in '", key, "'");
    }
    theta = value;
    theta_from = key;
  };
  const auto length = config.find("max_position_embeddings");
  const double positions = length != config.end() && length->is_number() ? length->get<double>() : 0;
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (!config.contains(key) || config[key].is_null()) continue;
    const std::string inside = where + ": '" + key + "'";
    const RotaryScaling found = ReadRotaryScaling(config[key], positions, inside);
    if (scaling && *scaling != found) {
      FailUsage(where, ": '", scaling_from, "' and '", key, "' scale the rotary embedding differently");
    }
    scaling = found;
    scaling_from = key;
    take_theta(config[key], key, inside);
  }
  take_theta(config, "rope_theta", where);
  if (!theta) FailUsage(where, ": key 'rope_theta' is missing");
  return {*theta, scaling.value_or(RotaryScaling())};
}

int64_t ReadCount(const nlohmann::json& config, const char* key, const std::string& where) {
  if (!config.contains(key)) FailUsage(where, ": key '", key, "' is missing");
  const int64_t count = AsCount(config[key]).value_or(-1);
  if (count < 1 || count > kMaxModelSize) {
    FailUsage(where, ": '", key, "' should be a whole number from 1 to ", kMaxModelSize, ", is ",
              JsonText(config[key]));
  }
  return count;
}

double ReadPositive(const nlohmann::json& config, const char* key, const std::string& where) {
  if (!config.contains(key)) FailUsage(where, ": key '", key, "' is missing");
  const auto& value = config[key];
  if (!value.is_number() || !(value.get<double>() > 0) || value.get<double>() > 1e12) {
    FailUsage(where, ": '", key, "' should be a positive number, is ", JsonText(value));
  }
  return value.get<double>();
}

}  // namespace attention
