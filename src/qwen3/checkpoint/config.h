// What a Qwen3 model is, in numbers; from a named shape or from the config.json beside the weights.
#ifndef SRC_QWEN3_CHECKPOINT_CONFIG_H_
#define SRC_QWEN3_CHECKPOINT_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "src/qwen3/checkpoint/layer_type.h"
#include "src/qwen3/checkpoint/model_shapes.h"
#include "src/qwen3/checkpoint/rotary_scaling.h"

namespace attention {

struct Qwen3Config {
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;  // 0: attention blocks only
  int64_t layers = 0;
  int64_t query_heads = 0;
  int64_t kv_heads = 0;  // divides query_heads
  int64_t head_dim = 0;  // even
  int64_t vocabulary_size = 0;
  double rms_norm_epsilon = 1e-6;
  double rope_theta = 1e6;
  RotaryScaling rope_scaling;
  bool attention_bias = false;  // of the four projections of the attention block
  bool tied_embeddings = false;
  bool has_lm_head = true;  // false: ends with the hidden states behind the final norm (Qwen3Model)
  bool is_causal = true;    // false: every token sees all, later ones too
  std::vector<LayerType> layer_types;  // by layer; empty: full attention in all
  int64_t sliding_window = 0;          // at least 1 if a layer slides

  LayerType layer_type(int64_t layer) const {
    return layer_types.empty() ? LayerType::kFullAttention : layer_types[static_cast<size_t>(layer)];
  }
  bool slides() const;  // some layer

  int64_t query_width() const { return query_heads * head_dim; }
  int64_t key_width() const { return kv_heads * head_dim; }
  // Throws Error (bad usage), starting with `where`, if nothing can be predicted with it.
  void RequireNextTokens(const std::string& where) const;

  // Weights of one decoder layer's matrices, and of the whole model's.
  int64_t layer_parameters() const;
  int64_t parameters() const;

  // Throws Error (bad usage), starting with `where`, unless the numbers make a model.
  void Check(const std::string& where) const;

  // The published models tie the embedding to the LM head up to 4B.
  static Qwen3Config FromShape(const ModelShape& shape);
  // Reads a config.json of model_type qwen3. Error naming file and key if something is missing or
  // unsupported, or says what is not known here (config_keys.h).
  static Qwen3Config FromFile(const std::string& path);
};

}  // namespace attention

#endif  // SRC_QWEN3_CHECKPOINT_CONFIG_H_
