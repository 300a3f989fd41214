// How a model stretches its rotary embedding to texts longer than those it was trained on.
#ifndef SRC_QWEN3_CHECKPOINT_ROTARY_SCALING_H_
#define SRC_QWEN3_CHECKPOINT_ROTARY_SCALING_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace attention {

enum class RotaryScalingKind {
  kDefault,  // none
  kLinear,   // every frequency divided by `factor` (Chen et al. 2023, position interpolation)
  kYarn,     // low frequencies divided, high ones kept, a ramp between (Peng et al. 2023)
};

struct RotaryScaling {
  RotaryScalingKind kind = RotaryScalingKind::kDefault;
  double factor = 1;  // at least 1
  // YaRN only. Pairs that turn more than beta_fast times within the original length keep their frequency,
  // those that turn less than beta_slow times are divided by factor.
  double original_positions = 0;
  double beta_fast = 32, beta_slow = 1;
  bool truncate = true;  // the ramp's ends are rounded outwards to whole pairs
  // Multiplies cos and sin, of queries and of keys; 1 but for YaRN, where 0.1 ln(factor) + 1 is the default.
  double magnitude = 1;

  bool operator==(const RotaryScaling&) const = default;
};

// Angle per position of each of the head_dim / 2 pairs: theta^(-2 i / head_dim), scaled. Definition:
// transformers' modeling_rope_utils.py, whose ramp runs over pairs, not over turns as in the paper.
std::vector<double> RotaryFrequencies(int64_t head_dim, double theta, const RotaryScaling& scaling);

// Throws Error (bad usage), one line, if YaRN's ramp has no place among the pairs of such a head.
void CheckRotaryScaling(int64_t head_dim, double theta, const RotaryScaling& scaling);

// From an object that describes rotary embeddings, rope_parameters or rope_scaling; `where` names file and
// key. `max_positions` is max_position_embeddings beside it, 0 if there is none: the original length where
// the object names none. Throws Error (bad usage), one line, for a type other than default, linear and yarn,
// and for a parameter that its type does not have or that is out of range. rope_theta inside is not looked
// at.
RotaryScaling ReadRotaryScaling(const nlohmann::json& rope, double max_positions, const std::string& where);

}  // namespace attention

#endif  // SRC_QWEN3_CHECKPOINT_ROTARY_SCALING_H_
