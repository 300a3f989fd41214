#include "src/qwen3/checkpoint/model_tensors.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "src/base/error.h"
#include "src/qwen3/checkpoint/checkpoint.h"

namespace attention {
namespace {

constexpr char kEmbedding[] = "model.embed_tokens.weight";
constexpr char kLmHead[] = "lm_head.weight";

// Last parts of the names of registered buffers that older versions of transformers saved.
constexpr std::string_view kBuffers[] = {"inv_freq",    "original_inv_freq", "cos_cached",    "sin_cached",
                                         "cos_cache",   "sin_cache",         "cos_sin_cache", "position_ids",
                                         "masked_bias", "causal_mask"};

// Parts of names that belong to a decoder, its heads and what is put upon them.
constexpr std::string_view kModelParts[] = {"model",
                                            "base_model",
                                            "layers",
                                            "embed_tokens",
                                            "norm",
                                            "lm_head",
                                            "self_attn",
                                            "mlp",
                                            "score",
                                            "classifier",
                                            "rotary_emb",
                                            "modules_to_save",
                                            "prompt_encoder",
                                            "prompt_embeddings",
                                            "q_proj",
                                            "k_proj",
                                            "v_proj",
                                            "o_proj",
                                            "gate_proj",
                                            "up_proj",
                                            "down_proj",
                                            "q_norm",
                                            "k_norm",
                                            "input_layernorm",
                                            "post_attention_layernorm",
                                            "adapter",
                                            "adapters",
                                            "logit_scale"};

std::vector<std::string_view> PartsOf(std::string_view name) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t dot = name.find('.');
    parts.push_back(name.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    name.remove_prefix(dot + 1);
  }
}

bool BelongsToTheModel(const std::string& name) {
  return std::ranges::any_of(PartsOf(name), [](std::string_view part) {
    return part.starts_with("lora_") || part.starts_with("lm_head") ||
           std::ranges::find(kModelParts, part) != std::end(kModelParts);
  });
}

}  // namespace

std::vector<NamedShape> ModelTensors(const Qwen3Config& config, WeightExtent extent) {
  const int64_t hidden = config.hidden_size, intermediate = config.intermediate_size;
  std::vector<NamedShape> tensors;
  for (int64_t layer = 0; layer < (extent == WeightExtent::kModel ? config.layers : 1); ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    tensors.push_back({prefix + "self_attn.q_proj.weight", {config.query_width(), hidden}});
    tensors.push_back({prefix + "self_attn.k_proj.weight", {config.key_width(), hidden}});
    tensors.push_back({prefix + "self_attn.v_proj.weight", {config.key_width(), hidden}});
    tensors.push_back({prefix + "self_attn.o_proj.weight", {hidden, config.query_width()}});
    tensors.push_back({prefix + "self_attn.q_norm.weight", {config.head_dim}});
    tensors.push_back({prefix + "self_attn.k_norm.weight", {config.head_dim}});
    if (config.attention_bias) {
      tensors.push_back({prefix + "self_attn.q_proj.bias", {config.query_width()}});
      tensors.push_back({prefix + "self_attn.k_proj.bias", {config.key_width()}});
      tensors.push_back({prefix + "self_attn.v_proj.bias", {config.key_width()}});
      tensors.push_back({prefix + "self_attn.o_proj.bias", {hidden}});
    }
    if (extent == WeightExtent::kBlock) return tensors;
    tensors.push_back({prefix + "input_layernorm.weight", {hidden}});
    tensors.push_back({prefix + "post_attention_layernorm.weight", {hidden}});
    tensors.push_back({prefix + "mlp.gate_proj.weight", {intermediate, hidden}});
    tensors.push_back({prefix + "mlp.up_proj.weight", {intermediate, hidden}});
    tensors.push_back({prefix + "mlp.down_proj.weight", {hidden, intermediate}});
  }
  if (extent == WeightExtent::kLayer) return tensors;
  tensors.push_back({kEmbedding, {config.vocabulary_size, hidden}});
  tensors.push_back({"model.norm.weight", {hidden}});
  if (!config.tied_embeddings && config.has_lm_head)
    tensors.push_back({kLmHead, {config.vocabulary_size, hidden}});
  return tensors;
}

bool IsComputedBuffer(const std::string& name) {
  return std::ranges::find(kBuffers, PartsOf(name).back()) != std::end(kBuffers);
}

void RefuseQuantised(const std::map<std::string, const StoredTensor*>& tensors) {
  for (const auto& [name, tensor] : tensors) {
    if (BelongsToTheModel(name) && name.ends_with(".weight")) tensor->RequireFloat(tensor->shape);
  }
}

void RefuseUnreadTensors(const std::map<std::string, const StoredTensor*>& tensors,
                         const Qwen3Config& config) {
  std::set<std::string> read;
  for (const NamedShape& tensor : ModelTensors(config, WeightExtent::kModel)) read.insert(tensor.name);
  for (const auto& [name, tensor] : tensors) {
    if (read.contains(name) || tensor->elements() == 0 || IsComputedBuffer(name)) continue;
    if (read.contains("model." + name) && !tensors.contains("model." + name)) {
      FailUsage(tensor->Where(), ": its name is without 'model.' in front, as a Qwen3Model without LM head",
                " is saved; only the names of a Qwen3ForCausalLM are read");
    }
    if (!BelongsToTheModel(name)) continue;
    if (name == kLmHead && !config.has_lm_head) {
      FailUsage(tensor->Where(), ": is an LM head, which by config.json ('architectures') the model lacks");
    }
    if (name == kLmHead) {
      const auto embedding = tensors.find(kEmbedding);
      if (embedding == tensors.end() || SameContent(*embedding->second, *tensor)) continue;
      FailUsage(tensor->Where(), ": differs from ", kEmbedding,
                ", which config.json puts in its place (tie_word_embeddings)");
    }
    FailUsage(tensor->Where(), ": is no part of a Qwen3 of ", config.layers, " layers",
              config.attention_bias ? "" : " without biases (attention_bias)",
              " and without adapters; leaving it out could change the result");
  }
}

}  // namespace attention
