// What a config.json may say. Every key is read, or must have the value that is computed here, or is known to
// leave the result as it is; a key that nobody here knows could mean another model.
#ifndef SRC_QWEN3_CHECKPOINT_CONFIG_KEYS_H_
#define SRC_QWEN3_CHECKPOINT_CONFIG_KEYS_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "src/qwen3/checkpoint/layer_type.h"
#include "src/qwen3/checkpoint/rotary_scaling.h"

namespace attention {

// Judges a key that is not read. Throws Error (bad usage), one line "WHERE: 'KEY' is VALUE, ...", unless it
// leaves the arithmetic as it is: the value is the only one supported, or null (not set), or the key is one
// of training, generation, tokenizers or bookkeeping.
void CheckUnreadKey(const std::string& key, const nlohmann::json& value, const std::string& where);

// The rotary embedding: its base, from rope_theta beside (transformers 4) or inside rope_parameters (5) or
// rope_scaling, and its scaling from the latter two. Throws Error (bad usage) if there is no base, if two
// differ, or if the scaling is none that is computed here (rotary_scaling.h).
struct RotaryEmbedding {
  double theta = 0;
  RotaryScaling scaling;
};
RotaryEmbedding ReadRotaryEmbedding(const nlohmann::json& config, const std::string& where);

// By layer, from layer_types; empty if there is none. Throws Error (bad usage) for other words and counts,
// for layers that slide without use_sliding_window, and for a window of which only max_window_layers says
// where: of that readers made different things.
std::vector<LayerType> ReadLayerTypes(const nlohmann::json& config, int64_t layers, const std::string& where);

// Values that are read. Error (bad usage) naming file and key if one is missing or is something else.
int64_t ReadCount(const nlohmann::json& config, const char* key, const std::string& where);
double ReadPositive(const nlohmann::json& config, const char* key, const std::string& where);

// Larger than any size of a model; small enough that products of two sizes fit int64_t.
inline constexpr int64_t kMaxModelSize = int64_t{1} << 30;

}  // namespace attention

#endif  // SRC_QWEN3_CHECKPOINT_CONFIG_KEYS_H_
