#include "src/experiment/ask/given_weights.h"

#include <algorithm>
#include <set>

#include "src/base/error.h"
#include "src/base/sha256.h"

namespace attention {
namespace {

constexpr size_t kFingerprintBytes = 4096;

struct NamedSize {
  const char* name;
  int64_t ModelShape::*size;
};
constexpr NamedSize kSizes[] = {
    {"hidden_size", &ModelShape::hidden_size},      {"intermediate_size", &ModelShape::intermediate_size},
    {"num_hidden_layers", &ModelShape::layers},     {"num_attention_heads", &ModelShape::query_heads},
    {"num_key_value_heads", &ModelShape::kv_heads}, {"head_dim", &ModelShape::head_dim},
    {"vocab_size", &ModelShape::vocabulary_size},
};

ModelShape ShapeOf(const Qwen3Config& config) {
  ModelShape shape;
  shape.query_heads = config.query_heads;
  shape.kv_heads = config.kv_heads;
  shape.head_dim = config.head_dim;
  shape.hidden_size = config.hidden_size;
  shape.intermediate_size = config.intermediate_size;
  shape.layers = config.layers;
  shape.vocabulary_size = config.vocabulary_size;
  for (const ModelShape& known : Qwen3Shapes()) {
    shape.name = known.name;
    if (shape == known) return shape;
  }
  shape.name = internal::Concatenate("h", shape.query_heads, "kv", shape.kv_heads, "d", shape.head_dim, "n",
                                     shape.hidden_size, "l", shape.layers);
  return shape;
}

std::string Fingerprint(const Checkpoint& checkpoint) {
  std::string text;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    text += name + "\n" + tensor->data_type;
    for (int64_t size : tensor->shape) text += " " + std::to_string(size);
    const size_t count = std::min(kFingerprintBytes, tensor->data.size());
    text += "\n";
    text.append(reinterpret_cast<const char*>(tensor->data.data()), count);
  }
  return Sha256(text);
}

}  // namespace

std::shared_ptr<const GivenWeights> OpenWeights(const std::string& path) {
  auto weights = std::make_shared<GivenWeights>();
  weights->path = path;
  weights->checkpoint = std::make_shared<const Checkpoint>(Checkpoint::Open(path));
  weights->config = Qwen3Config::FromFile(weights->checkpoint->directory() + "/config.json");
  weights->shape = ShapeOf(weights->config);
  weights->source = MakeCheckpointSource(weights->checkpoint);
  weights->fingerprint = Fingerprint(*weights->checkpoint);
  return weights;
}

void RequireShape(const GivenWeights& weights, const ModelShape& asked) {
  for (const NamedSize& size : kSizes) {
    const int64_t given = weights.shape.*size.size, wanted = asked.*size.size;
    if (given == wanted) continue;
    FailUsage(asked.name, " has ", size.name, " ", wanted, ", ", weights.checkpoint->directory(),
              "/config.json says ", given, "; leave the model out, the weights give it");
  }
}

nlohmann::json DescribeWeights(const GivenWeights& weights) {
  int64_t bytes = 0;
  std::set<std::string> files, types;
  for (const auto& [name, tensor] : weights.checkpoint->tensors()) {
    bytes += static_cast<int64_t>(tensor->data.size());
    files.insert(tensor->file);
    types.insert(tensor->data_type);
  }
  return {{"path", weights.path},
          {"fingerprint_sha256", weights.fingerprint},
          {"model", weights.shape.name},
          {"parameters", weights.config.parameters()},
          {"tied_embeddings", weights.config.tied_embeddings},
          {"files", files},
          {"tensors", weights.checkpoint->tensors().size()},
          {"data_types", types},
          {"bytes", bytes}};
}

}  // namespace attention
