#include "src/qwen3/verify_case.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "src/base/error.h"
#include "src/qwen3/checkpoint/config_keys.h"
#include "src/qwen3/checkpoint/model_tensors.h"
#include "src/qwen3/checkpoint/safetensors.h"
#include "src/qwen3/checkpoint/strict_json.h"

namespace attention {
namespace {

constexpr std::string_view kReadMetadata[] = {"num_attention_heads",
                                              "num_key_value_heads",
                                              "head_dim",
                                              "rms_norm_eps",
                                              "rope_theta",
                                              "causal",
                                              "rope_scaling",
                                              "rope_parameters",
                                              "attention_bias",
                                              "max_position_embeddings",
                                              "is_causal",
                                              "use_sliding_window",
                                              "layer_types"};
// About files, and sizes of a model that its tensors give here.
constexpr std::string_view kFreeMetadata[] = {
    "format",     "hidden_size",         "intermediate_size", "num_hidden_layers",
    "vocab_size", "tie_word_embeddings", "sliding_window"};

// Four times a decoder layer of the largest Qwen3 in F32; what is larger is read into memory by no one.
constexpr size_t kMaxGoldenBytes = size_t{8} << 30;

template <size_t count>
bool Holds(const std::string_view (&names)[count], std::string_view name) {
  return std::ranges::find(names, name) != std::end(names);
}

// The value that a string of metadata stands for, as Python prints it or as JSON.
nlohmann::json ValueOf(const std::string& text) {
  if (text == "None") return nullptr;
  if (text == "True") return true;
  if (text == "False") return false;
  nlohmann::json value = nlohmann::json::parse(text, nullptr, false);
  return value.is_discarded() || text.find('\0') != std::string::npos ? nlohmann::json(text) : value;
}

template <typename Integer>
Integer ReadAs(std::span<const std::byte> data, int64_t index) {
  Integer value;
  std::memcpy(&value, data.data() + static_cast<size_t>(index) * sizeof value, sizeof value);
  return value;
}

// What is not read is judged as if it stood in a config.json.
void CheckUnreadMetadata(const SafetensorsFile& file) {
  const std::string where = file.path() + ": metadata";
  for (const auto& [key, text] : file.metadata()) {
    if (Holds(kReadMetadata, key) || Holds(kFreeMetadata, key)) continue;
    CheckUnreadKey(key, ValueOf(text), where);
  }
}

RotaryScaling ReadScaling(const SafetensorsFile& file) {
  const std::string where = file.path() + ": metadata";
  nlohmann::json config;
  for (const char* key : {"rope_theta", "rope_scaling", "rope_parameters", "max_position_embeddings"}) {
    const auto found = file.metadata().find(key);
    if (found == file.metadata().end()) continue;
    config[key] = ValueOf(found->second);
    // Of a key that is there twice, which one counts?
    if (config[key].is_object()) config[key] = ParseStrictJson(found->second, where + " '" + key + "'");
  }
  return ReadRotaryEmbedding(config, where).scaling;
}

bool ReadAttentionBias(const SafetensorsFile& file) {
  const auto found = file.metadata().find("attention_bias");
  if (found == file.metadata().end()) return false;
  const nlohmann::json value = ValueOf(found->second);
  if (value.is_null()) return false;
  if (!value.is_boolean()) {
    FailUsage(file.path(), ": metadata 'attention_bias' should be true or false, is ", JsonText(value));
  }
  return value.get<bool>();
}

const std::string& TextOf(const SafetensorsFile& file, const char* key) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) FailUsage(file.path(), ": metadata '", key, "' is missing");
  return found->second;
}

template <typename Number>
Number ReadNumber(const SafetensorsFile& file, const char* key, Number largest) {
  const std::string& text = TextOf(file, key);
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !(number > 0) || number > largest) {
    FailUsage(file.path(), ": metadata '", key, "' should be a positive number up to ", largest, ", is \"",
              Printable(text), "\"");
  }
  return number;
}

bool ReadCausal(const SafetensorsFile& file) {
  const std::string& text = TextOf(file, "causal");
  if (text != "true" && text != "false") {
    FailUsage(file.path(), ": metadata 'causal' should be \"true\" or \"false\", is \"", Printable(text),
              "\"");
  }
  return text == "true";
}

// What else of a config.json says which tokens are seen: nothing but what `causal` says.
void CheckMask(const SafetensorsFile& file, bool is_causal) {
  const auto check = [&](const char* key, auto is_same) {
    const auto found = file.metadata().find(key);
    if (found == file.metadata().end()) return;
    const nlohmann::json value = ValueOf(found->second);
    if (value.is_null() || is_same(value)) return;
    FailUsage(file.path(), ": metadata '", key, "' is ", JsonText(value), ", and only the mask of 'causal', ",
              is_causal ? "true" : "false", ", is computed");
  };
  check("is_causal", [&](const nlohmann::json& value) { return value == is_causal; });
  check("use_sliding_window", [](const nlohmann::json& value) { return value == false; });
  check("layer_types", [](const nlohmann::json& value) {
    return value.is_array() &&
           std::ranges::all_of(value, [](const auto& type) { return type == "full_attention"; });
  });
}

// A golden file's positions are what it was computed at; here they are 0, 1, 2 ... Rotary embeddings see
// differences alone, so the first may be any.
void CheckPositions(const StoredTensor& tensor, int64_t batch, int64_t tokens) {
  const auto position = [&](int64_t i) {
    if (tensor.data_type == "I64") return ReadAs<int64_t>(tensor.data, i);
    if (tensor.data_type == "I32") return int64_t{ReadAs<int32_t>(tensor.data, i)};
    FailUsage(tensor.Where(), ": is of type ", tensor.data_type, ", expected I64 or I32");
  };
  const int64_t rows = tokens > 0 ? tensor.elements() / tokens : 0;
  bool follows = tensor.elements() == rows * tokens && (rows == 1 || rows == batch);
  for (int64_t i = 0; follows && i < tensor.elements(); ++i) {
    const int64_t here = position(i);
    follows = here >= 0 && (i % tokens == 0 || here - 1 == position(i - 1));
  }
  if (!follows) {
    FailUsage(tensor.Where(), ": should be [", tokens, "] or [1 or ", batch, ", ", tokens,
              "] positions that follow each other, the only ones that are computed");
  }
}

std::vector<float> ReadFinite(const StoredTensor& tensor, const std::vector<int64_t>& shape) {
  tensor.RequireFloat(shape);
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  tensor.ReadFloats(0, values);
  if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); })) {
    FailUsage(tensor.Where(), ": holds NaN or infinity, expected finite numbers");
  }
  return values;
}

double LargestMagnitude(const SafetensorsFile& file, const char* name, int64_t size) {
  double largest = 0;
  for (float value : ReadFinite(file.Get(std::string(kVerifyPrefix) + "self_attn." + name), {size})) {
    largest = std::max(largest, std::abs(static_cast<double>(value)));
  }
  return largest;
}

void RefuseOtherTensors(const SafetensorsFile& file, const Qwen3Config& config) {
  std::set<std::string> read = {"hidden_states", "expected_output"};
  const bool is_layer = config.intermediate_size > 0;
  for (NamedShape& tensor : ModelTensors(config, is_layer ? WeightExtent::kLayer : WeightExtent::kBlock)) {
    read.insert(std::move(tensor.name));
  }
  for (const auto& [name, tensor] : file.tensors()) {
    if (read.contains(name) || tensor.elements() == 0 || IsComputedBuffer(name)) continue;
    FailUsage(tensor.Where(), ": is not read for ", is_layer ? "a decoder layer" : "an attention block",
              config.attention_bias ? "" : " without biases (attention_bias)",
              "; leaving it out could change the result");
  }
}

void ReadConfig(const SafetensorsFile& file, Qwen3Config& config) {
  config.query_heads = ReadNumber(file, "num_attention_heads", kMaxModelSize);
  config.kv_heads = ReadNumber(file, "num_key_value_heads", kMaxModelSize);
  config.head_dim = ReadNumber(file, "head_dim", kMaxModelSize);
  config.rms_norm_epsilon = ReadNumber(file, "rms_norm_eps", 1e12);
  config.rope_theta = ReadNumber(file, "rope_theta", 1e12);
  config.rope_scaling = ReadScaling(file);
  config.attention_bias = ReadAttentionBias(file);
  CheckUnreadMetadata(file);
}

double Norm(std::span<const float> row) {
  double squared = 0;
  for (float value : row) squared += static_cast<double>(value) * value;
  return std::sqrt(squared);
}

}  // namespace

VerifyCase ReadVerifyCase(const std::string& path) {
  const auto file = SafetensorsFile::Open(path);
  size_t bytes = 0;
  for (const auto& [name, tensor] : file->tensors()) bytes += tensor.data.size();
  if (bytes > kMaxGoldenBytes) {
    FailUsage(path, ": holds ", bytes, " bytes, at most ", kMaxGoldenBytes, " are expected of such a file");
  }
  VerifyCase result;
  Qwen3Config& config = result.config;
  ReadConfig(*file, config);
  const bool is_causal = ReadCausal(*file);
  CheckMask(*file, is_causal);
  result.mask = is_causal ? Mask::Causal() : Mask::Full();
  const StoredTensor& hidden = file->Get("hidden_states");
  if (hidden.shape.size() != 3 || hidden.elements() == 0) {
    FailUsage(hidden.Where(), ": expected shape [batch, tokens, hidden], none of them 0");
  }
  result.batch = hidden.shape[0];
  result.tokens = hidden.shape[1];
  config.hidden_size = hidden.shape[2];
  config.layers = 1;
  if (const StoredTensor* positions = file->Find("position_ids")) {
    CheckPositions(*positions, result.batch, result.tokens);
  }
  const StoredTensor* gate = file->Find(std::string(kVerifyPrefix) + "mlp.gate_proj.weight");
  if (gate != nullptr && gate->shape.size() == 2) config.intermediate_size = gate->shape[0];
  config.Check(path);
  RefuseOtherTensors(*file, config);
  const StoredTensor& expected = file->Get("expected_output");
  result.hidden = ReadFinite(hidden, hidden.shape);
  result.expected = ReadFinite(expected, hidden.shape);
  if (Norm(result.expected) == 0) {
    Fail(expected.Where(), ": is all zeros, with which nothing can be decided");
  }
  // YaRN stretches queries and keys alike.
  result.largest_logit = config.rope_scaling.magnitude * config.rope_scaling.magnitude *
                         std::sqrt(static_cast<double>(config.head_dim)) *
                         LargestMagnitude(*file, "q_norm.weight", config.head_dim) *
                         LargestMagnitude(*file, "k_norm.weight", config.head_dim);
  const double storage = expected.data_type == "BF16" ? 0x1p-9 : expected.data_type == "F16" ? 0x1p-12 : 0;
  result.tolerance = 5e-6 + 4 * 0x1p-24 * result.largest_logit + storage;
  return result;
}

OutputErrors CompareOutputs(const VerifyCase& problem, std::span<const float> actual) {
  const size_t width = static_cast<size_t>(problem.config.hidden_size), rows = actual.size() / width;
  OutputErrors errors;
  std::vector<double> row_errors(rows), norms(rows);
  double squared = 0;
  for (size_t row = 0; row < rows; ++row) {
    double row_squared = 0;
    for (size_t i = row * width; i < (row + 1) * width; ++i) {
      if (!std::isfinite(actual[i])) ++errors.non_finite;
      const double difference = static_cast<double>(actual[i]) - problem.expected[i];
      errors.max_abs = std::max(errors.max_abs, std::abs(difference));
      row_squared += difference * difference;
    }
    row_errors[row] = std::sqrt(row_squared);
    squared += row_squared;
    norms[row] = Norm(std::span(problem.expected).subspan(row * width, width));
  }
  errors.rel_l2 = std::sqrt(squared) / Norm(problem.expected);
  // The smallest, not a typical one, for which many small rows beside a few large ones would not count.
  double smallest = Norm(problem.expected);
  for (double norm : norms) {
    if (norm > 0) smallest = std::min(smallest, norm);
  }
  const double negligible = problem.tolerance * smallest;
  for (size_t row = 0; row < rows; ++row) {
    if (row_errors[row] <= negligible) continue;
    errors.row_rel_l2 = std::max(errors.row_rel_l2, row_errors[row] / norms[row]);
  }
  return errors;
}

}  // namespace attention
