#include "src/qwen3/checkpoint/config.h"

#include "src/base/error.h"
#include "src/qwen3/checkpoint/strict_json.h"

namespace attention {
namespace {

constexpr int64_t kMaxConfigBytes = 1 << 20;

// Larger than any model; small enough that products of two sizes fit int64_t.
constexpr int64_t kMaxSize = int64_t{1} << 30;

int64_t ReadCount(const nlohmann::json& json, const char* key, const std::string& path) {
  if (!json.contains(key)) FailUsage(path, ": key '", key, "' is missing");
  const int64_t count = AsCount(json[key]).value_or(-1);
  if (count < 1 || count > kMaxSize) {
    FailUsage(path, ": '", key, "' should be a whole number from 1 to ", kMaxSize, ", is ",
              json[key].dump().substr(0, 100));
  }
  return count;
}

double ReadPositive(const nlohmann::json& json, const char* key, const std::string& path) {
  if (!json.contains(key)) FailUsage(path, ": key '", key, "' is missing");
  const auto& value = json[key];
  if (!value.is_number() || !(value.get<double>() > 0) || value.get<double>() > 1e12) {
    FailUsage(path, ": '", key, "' should be a positive number, is ", value.dump().substr(0, 100));
  }
  return value.get<double>();
}

// Settings that would change the arithmetic into something that is not computed here.
void RefuseUnsupported(const nlohmann::json& json, const std::string& path) {
  const auto refuse = [&](const char* key, const char* expected) {
    FailUsage(path, ": '", key, "' is ", json[key].dump().substr(0, 100), ", only ", expected,
              " is supported");
  };
  if (json.contains("model_type") && json["model_type"] != "qwen3") refuse("model_type", "\"qwen3\"");
  if (json.contains("hidden_act") && json["hidden_act"] != "silu") refuse("hidden_act", "\"silu\"");
  if (json.contains("attention_bias") && json["attention_bias"] != false) refuse("attention_bias", "false");
  if (json.contains("rope_scaling") && !json["rope_scaling"].is_null()) refuse("rope_scaling", "null");
  if (json.contains("use_sliding_window") && json["use_sliding_window"] != false) {
    refuse("use_sliding_window", "false");
  }
}

}  // namespace

int64_t Qwen3Config::layer_parameters() const {
  return hidden_size * (2 * query_width() + 2 * key_width() + 3 * intermediate_size);
}

int64_t Qwen3Config::parameters() const {
  return layers * layer_parameters() + (tied_embeddings ? 1 : 2) * vocabulary_size * hidden_size;
}

void Qwen3Config::Check(const std::string& where) const {
  if (query_heads < 1 || kv_heads < 1 || query_heads % kv_heads != 0) {
    FailUsage(where, ": ", query_heads, " attention heads are not a multiple of ", kv_heads,
              " key/value heads");
  }
  if (head_dim < 2 || head_dim % 2 != 0) FailUsage(where, ": head_dim ", head_dim, " is not even");
  if (hidden_size < 1) FailUsage(where, ": hidden size ", hidden_size, " is not positive");
  // The largest products made of them, so that nothing later overflows.
  for (int64_t size :
       {hidden_size, intermediate_size, vocabulary_size, query_heads, head_dim, query_width()}) {
    if (size > kMaxSize) FailUsage(where, ": size ", size, " is out of range");
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
  RefuseUnsupported(json, path);
  Qwen3Config config;
  config.hidden_size = ReadCount(json, "hidden_size", path);
  config.intermediate_size = ReadCount(json, "intermediate_size", path);
  config.layers = ReadCount(json, "num_hidden_layers", path);
  config.query_heads = ReadCount(json, "num_attention_heads", path);
  config.kv_heads = ReadCount(json, "num_key_value_heads", path);
  config.head_dim = ReadCount(json, "head_dim", path);
  config.vocabulary_size = ReadCount(json, "vocab_size", path);
  config.rms_norm_epsilon = ReadPositive(json, "rms_norm_eps", path);
  config.rope_theta = ReadPositive(json, "rope_theta", path);
  config.tied_embeddings = json.value("tie_word_embeddings", nlohmann::json(false)) == true;
  config.Check(path);
  return config;
}

}  // namespace attention
