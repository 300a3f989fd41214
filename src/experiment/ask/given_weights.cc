#include "src/experiment/ask/given_weights.h"

#include <mpi.h>

#include <algorithm>
#include <set>
#include <span>
#include <sstream>
#include <vector>

#include "src/base/error.h"
#include "src/base/sha256.h"
#include "src/mpi/agreement.h"
#include "src/qwen3/checkpoint/content_digest.h"

namespace attention {
namespace {

// Of each tensor every rank reads so much, to see whether its copy of the files is the others'.
constexpr size_t kHeadBytes = 4096;

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

// What decides on results besides the bytes of the tensors.
std::string ConfigText(const Qwen3Config& config) {
  std::ostringstream text;
  text.precision(17);
  text << config.hidden_size << " " << config.intermediate_size << " " << config.layers << " "
       << config.query_heads << " " << config.kv_heads << " " << config.head_dim << " "
       << config.vocabulary_size << " " << config.rms_norm_epsilon << " " << config.rope_theta << " "
       << config.tied_embeddings << "\n";
  // Only where they are set: the fingerprints of earlier runs stay what they were.
  const RotaryScaling& scaling = config.rope_scaling;
  if (scaling != RotaryScaling()) {
    text << "rotary " << static_cast<int>(scaling.kind) << " " << scaling.factor << " "
         << scaling.original_positions << " " << scaling.beta_fast << " " << scaling.beta_slow << " "
         << scaling.truncate << " " << scaling.magnitude << "\n";
  }
  if (config.attention_bias) text << "attention_bias\n";
  if (!config.is_causal) text << "not causal\n";
  if (config.slides()) {
    text << "window " << config.sliding_window;
    for (const LayerType type : config.layer_types) text << " " << static_cast<int>(type);
    text << "\n";
  }
  return text.str();
}

}  // namespace

std::shared_ptr<GivenWeights> OpenWeights(const std::string& path) {
  auto weights = std::make_shared<GivenWeights>();
  weights->path = path;
  weights->checkpoint = std::make_shared<const Checkpoint>(Checkpoint::Open(path));
  // First, because it says more than a key of config.json about how weights are packed.
  RefuseQuantised(weights->checkpoint->tensors());
  weights->config = Qwen3Config::FromFile(weights->checkpoint->directory() + "/config.json");
  RefuseUnreadTensors(weights->checkpoint->tensors(), weights->config);
  weights->shape = ShapeOf(weights->config);
  weights->source = MakeCheckpointSource(weights->checkpoint);
  return weights;
}

void SetFingerprint(GivenWeights& weights, WeightExtent extent, const Communicator& communicator) {
  std::string text = ConfigText(weights.config), heads;
  std::vector<std::span<const std::byte>> parts;
  weights.fingerprint_bytes = 0;
  for (const NamedShape& read : ModelTensors(weights.config, extent)) {
    const StoredTensor& tensor = weights.checkpoint->Get(read.name);
    text += read.name + " " + tensor.data_type + "\n";
    heads += std::to_string(ContentDigest(tensor.data.first(std::min(kHeadBytes, tensor.data.size()))));
    parts.push_back(tensor.data);
    weights.fingerprint_bytes += static_cast<int64_t>(tensor.data.size());
  }
  // Shares of different copies would make a fingerprint of neither.
  AgreeOnText(communicator, Sha256(text + heads), "weights");
  std::vector<uint64_t> digests = PieceDigests(parts, static_cast<uint64_t>(communicator.rank()),
                                               static_cast<uint64_t>(communicator.size()));
  MPI_Allreduce(MPI_IN_PLACE, digests.data(), static_cast<int>(digests.size()), MPI_UINT64_T, MPI_SUM,
                communicator.handle());
  text.append(reinterpret_cast<const char*>(digests.data()), digests.size() * sizeof(uint64_t));
  weights.fingerprint = Sha256(text);
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
          {"fingerprint_of_bytes", weights.fingerprint_bytes},
          {"model", weights.shape.name},
          {"parameters", weights.config.parameters()},
          {"tied_embeddings", weights.config.tied_embeddings},
          {"files", files},
          {"tensors", weights.checkpoint->tensors().size()},
          {"data_types", types},
          {"bytes", bytes}};
}

}  // namespace attention
