#include "src/qwen3/checkpoint/config.h"

#include <algorithm>

#include "src/base/error.h"
#include "src/base/regular_file.h"
#include "src/qwen3/checkpoint/config_keys.h"
#include "src/qwen3/checkpoint/strict_json.h"

namespace attention {
namespace {

constexpr int64_t kMaxConfigBytes = 1 << 20;
// Lists of a model's tensors are made before any tensor is looked for.
constexpr int64_t kMaxLayers = 1 << 14;

constexpr const char* kReadKeys[] = {"hidden_size",         "intermediate_size",   "num_hidden_layers",
                                     "num_attention_heads", "num_key_value_heads", "head_dim",
                                     "vocab_size",          "rms_norm_eps",        "rope_theta",
                                     "rope_scaling",        "rope_parameters",     "tie_word_embeddings",
                                     "attention_bias",      "is_causal",           "layer_types",
                                     "use_sliding_window",  "sliding_window"};

bool IsReadKey(const std::string& key) {
  return std::ranges::any_of(kReadKeys, [&](const char* read) { return key == read; });
}

// False where it is not said: what transformers takes for Qwen3.
bool ReadFlag(const nlohmann::json& json, const char* key, const std::string& path) {
  const auto found = json.find(key);
  if (found == json.end()) return false;
  if (!found->is_boolean()) FailUsage(path, ": '", key, "' should be true or false, is ", JsonText(*found));
  return found->get<bool>();
}

void CheckLayerCount(int64_t layers, const std::string& path) {
  if (layers > kMaxLayers) FailUsage(path, ": 'num_hidden_layers' is ", layers, ", at most ", kMaxLayers);
}

}  // namespace

bool Qwen3Config::slides() const {
  return std::ranges::find(layer_types, LayerType::kSlidingAttention) != layer_types.end();
}

int64_t Qwen3Config::layer_parameters() const {
  return hidden_size * (2 * query_width() + 2 * key_width() + 3 * intermediate_size);
}

int64_t Qwen3Config::parameters() const {
  return layers * layer_parameters() +
         (tied_embeddings || !has_lm_head ? 1 : 2) * vocabulary_size * hidden_size;
}

void Qwen3Config::Check(const std::string& where) const {
  if (query_heads < 1 || kv_heads < 1 || query_heads % kv_heads != 0) {
    FailUsage(where, ": ", query_heads, " attention heads are not a multiple of ", kv_heads,
              " key/value heads");
  }
  if (head_dim < 2 || head_dim % 2 != 0) FailUsage(where, ": head_dim ", head_dim, " is not even");
  if (hidden_size < 1) FailUsage(where, ": hidden size ", hidden_size, " is not positive");
  // The largest products made of them, so that nothing later overflows.
  for (int64_t size : {hidden_size, intermediate_size, vocabulary_size, query_heads, head_dim}) {
    if (size > kMaxModelSize) FailUsage(where, ": size ", size, " is out of range");
  }
  if (query_width() > kMaxModelSize) FailUsage(where, ": size ", query_width(), " is out of range");
  try {
    CheckRotaryScaling(head_dim, rope_theta, rope_scaling);
  } catch (const Error& error) {
    throw error.WithContext(where);
  }
}

void Qwen3Config::RequireNextTokens(const std::string& where) const {
  if (!is_causal) {
    FailUsage(where,
              ": 'is_causal' is false, tokens see later ones, and none can be predicted; --embed takes it");
  }
  if (!has_lm_head) {
    FailUsage(where,
              ": 'architectures' is [\"Qwen3Model\"] and 'tie_word_embeddings' not true, a model without",
              " LM head, which predicts no tokens; --embed takes it");
  }
}

Qwen3Config Qwen3Config::FromShape(const ModelShape& shape) {
  Qwen3Config config;
  config.hidden_size = shape.hidden_size;
  config.intermediate_size = shape.intermediate_size;
  config.layers = shape.layers;
  config.query_heads = shape.query_heads;
  config.kv_heads = shape.kv_heads;
  config.head_dim = shape.head_dim;
  config.vocabulary_size = shape.vocabulary_size;
  config.tied_embeddings = shape.hidden_size <= 2560;
  config.Check(shape.name);
  return config;
}

Qwen3Config Qwen3Config::FromFile(const std::string& path) {
  const nlohmann::json json = ParseStrictJson(ReadWholeFile(path, kMaxConfigBytes), path);
  if (!json.is_object()) FailUsage(path, ": expected a JSON object");
  const bool is_tied = ReadFlag(json, "tie_word_embeddings", path);
  Qwen3Config config;
  for (const auto& [key, value] : json.items()) {
    // Saved without the LM head; if tied, that is its embedding.
    if (key == "architectures" && value == nlohmann::json::array({"Qwen3Model"})) {
      config.has_lm_head = is_tied;
      continue;
    }
    if (!IsReadKey(key)) CheckUnreadKey(key, value, path);
  }
  config.hidden_size = ReadCount(json, "hidden_size", path);
  config.intermediate_size = ReadCount(json, "intermediate_size", path);
  config.layers = ReadCount(json, "num_hidden_layers", path);
  config.query_heads = ReadCount(json, "num_attention_heads", path);
  config.kv_heads = ReadCount(json, "num_key_value_heads", path);
  config.head_dim = ReadCount(json, "head_dim", path);
  config.vocabulary_size = ReadCount(json, "vocab_size", path);
  config.rms_norm_epsilon = ReadPositive(json, "rms_norm_eps", path);
  const RotaryEmbedding rotary = ReadRotaryEmbedding(json, path);
  config.rope_theta = rotary.theta;
  config.rope_scaling = rotary.scaling;
  config.tied_embeddings = is_tied;
  // Null is "no bias", and "causal", to transformers.
  const auto is_set = [&](const char* key) { return json.contains(key) && !json[key].is_null(); };
  config.attention_bias = is_set("attention_bias") && ReadFlag(json, "attention_bias", path);
  config.is_causal = !is_set("is_causal") || ReadFlag(json, "is_causal", path);
  CheckLayerCount(config.layers, path);
  config.layer_types = ReadLayerTypes(json, config.layers, path);
  if (config.slides()) {
    config.sliding_window = ReadCount(json, "sliding_window", path);
    if (!config.is_causal) FailUsage(path, ": 'is_causal' is false, and 'layer_types' has sliding_attention");
  }
  config.Check(path);
  return config;
}

}  // namespace attention
