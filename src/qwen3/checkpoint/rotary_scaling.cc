#include "src/qwen3/checkpoint/rotary_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <string_view>

#include "src/base/error.h"
#include "src/qwen3/checkpoint/strict_json.h"

namespace attention {
namespace {

struct KindRow {
  std::string_view name;
  RotaryScalingKind kind;
};
constexpr KindRow kKinds[] = {{"default", RotaryScalingKind::kDefault},
                              {"linear", RotaryScalingKind::kLinear},
                              {"yarn", RotaryScalingKind::kYarn}};
constexpr char kSupported[] = R"(only "default", "linear" and "yarn" are supported)";

// Which parameters a type has; the others must be neutral.
struct ParameterRow {
  std::string_view name;
  bool linear, yarn;
  // A value that changes nothing under a type that does not have the parameter; 0: there is none.
  double neutral;
};
constexpr ParameterRow kParameters[] = {
    {"factor", true, true, 1},
    {"partial_rotary_factor", false, false, 1},
    {"attention_factor", false, true, 1},
    {"mscale", false, true, 0},
    {"mscale_all_dim", false, true, 0},
    {"beta_fast", false, true, 0},
    {"beta_slow", false, true, 0},
    {"truncate", false, true, 0},
    {"original_max_position_embeddings", false, true, 0},
};

RotaryScalingKind ReadKind(const nlohmann::json& rope, const std::string& where) {
  std::optional<RotaryScalingKind> kind;
  for (const char* key : {"rope_type", "type"}) {
    if (!rope.contains(key) || rope[key].is_null()) continue;
    const auto* row =
        std::ranges::find_if(kKinds, [&](const KindRow& r) { return rope[key] == nlohmann::json(r.name); });
    if (row == std::end(kKinds))
      FailUsage(where, " is of '", key, "' ", JsonText(rope[key]), ", ", kSupported);
    if (kind && *kind != row->kind) FailUsage(where, ": 'rope_type' and 'type' are not the same");
    kind = row->kind;
  }
  return kind.value_or(RotaryScalingKind::kDefault);
}

void CheckParameter(const std::string& name, const nlohmann::json& value, RotaryScalingKind kind,
                    const std::string& where) {
  if (name == "rope_type" || name == "type" || name == "rope_theta" || value.is_null()) return;
  const auto* row = std::ranges::find(kParameters, name, &ParameterRow::name);
  const bool known = row != std::end(kParameters);
  if (known && kind == RotaryScalingKind::kLinear && row->linear) return;
  if (known && kind == RotaryScalingKind::kYarn && row->yarn) return;
  if (known && row->neutral != 0 && value == row->neutral) return;
  const auto* type = std::ranges::find(kKinds, kind, &KindRow::kind);
  FailUsage(where, " has '", Printable(name), "' ", JsonText(value), ", which rope_type \"", type->name,
            "\" does not have; ", kSupported);
}

double ReadNumber(const nlohmann::json& rope, const char* key, double least, double fallback,
                  const std::string& where) {
  if (!rope.contains(key) || rope[key].is_null()) return fallback;
  const nlohmann::json& value = rope[key];
  if (!value.is_number() || !(value.get<double>() >= least) || value.get<double>() > 1e12) {
    FailUsage(where, ": '", key, "' should be a number from ", least, ", is ", JsonText(value));
  }
  return value.get<double>();
}

// What YaRN multiplies logits' square roots by so that a longer text does not flatten them.
double Magnitude(double factor, double weight) {
  return factor <= 1 ? 1 : 0.1 * weight * std::log(factor) + 1;
}

constexpr double kSmallest = 1e-6;

void ReadYarn(const nlohmann::json& rope, double max_positions, const std::string& where,
              RotaryScaling& scaling) {
  scaling.original_positions = ReadNumber(rope, "original_max_position_embeddings", 1, max_positions, where);
  if (!(scaling.original_positions >= 1 && scaling.original_positions <= 1e12)) {
    FailUsage(where, ": 'original_max_position_embeddings' is missing, and so is a max_position_embeddings",
              " that could stand for it");
  }
  scaling.beta_fast = ReadNumber(rope, "beta_fast", kSmallest, scaling.beta_fast, where);
  scaling.beta_slow = ReadNumber(rope, "beta_slow", kSmallest, scaling.beta_slow, where);
  if (scaling.beta_fast <= scaling.beta_slow) {
    FailUsage(where, ": 'beta_fast' ", scaling.beta_fast, " is not above 'beta_slow' ", scaling.beta_slow);
  }
  if (rope.contains("truncate")) {  // null would be false to transformers
    if (!rope["truncate"].is_boolean()) {
      FailUsage(where, ": 'truncate' should be true or false, is ", JsonText(rope["truncate"]));
    }
    scaling.truncate = rope["truncate"].get<bool>();
  }
  const double scale = ReadNumber(rope, "mscale", 0, 0, where);
  const double scale_of_all = ReadNumber(rope, "mscale_all_dim", 0, 0, where);
  const double by_default = scale > 0 && scale_of_all > 0
                                ? Magnitude(scaling.factor, scale) / Magnitude(scaling.factor, scale_of_all)
                                : Magnitude(scaling.factor, 1);
  scaling.magnitude = ReadNumber(rope, "attention_factor", kSmallest, by_default, where);
}

// The pair, as a real number, that turns so often within the original length.
double PairOfTurns(double turns, double head_dim, double theta, double positions) {
  return head_dim * std::log(positions / (turns * 2 * std::numbers::pi)) / (2 * std::log(theta));
}

// The pairs between which frequencies go over from kept to divided.
struct Ramp {
  double low = 0, high = 0;
};

Ramp YarnRamp(int64_t head_dim, double theta, const RotaryScaling& scaling) {
  const double width = static_cast<double>(head_dim);
  Ramp ramp = {PairOfTurns(scaling.beta_fast, width, theta, scaling.original_positions),
               PairOfTurns(scaling.beta_slow, width, theta, scaling.original_positions)};
  if (scaling.truncate) ramp = {std::floor(ramp.low), std::ceil(ramp.high)};
  ramp = {std::max(ramp.low, 0.0), std::min(ramp.high, width - 1)};
  if (!(ramp.low <= ramp.high)) {
    FailUsage("rope_type \"yarn\" with rope_theta ", theta, ": within ", scaling.original_positions,
              " positions no pair turns fewer than beta_fast ", scaling.beta_fast, " times");
  }
  if (ramp.low == ramp.high) ramp.high += 0.001;  // a step, without dividing by zero
  return ramp;
}

}  // namespace

void CheckRotaryScaling(int64_t head_dim, double theta, const RotaryScaling& scaling) {
  if (scaling.kind == RotaryScalingKind::kYarn) (void)YarnRamp(head_dim, theta, scaling);
}

std::vector<double> RotaryFrequencies(int64_t head_dim, double theta, const RotaryScaling& scaling) {
  Require(head_dim > 0 && head_dim % 2 == 0, "head_dim ", head_dim, " is not even");
  const int64_t half = head_dim / 2;
  Ramp ramp;
  if (scaling.kind == RotaryScalingKind::kYarn) ramp = YarnRamp(head_dim, theta, scaling);
  std::vector<double> frequencies(static_cast<size_t>(half));
  for (int64_t i = 0; i < half; ++i) {
    const double plain = std::pow(theta, -static_cast<double>(i) / static_cast<double>(half));
    double divided = 1;  // the share of `plain` that is divided by the factor
    if (scaling.kind == RotaryScalingKind::kDefault) divided = 0;
    if (scaling.kind == RotaryScalingKind::kYarn) {
      divided = std::clamp((static_cast<double>(i) - ramp.low) / (ramp.high - ramp.low), 0.0, 1.0);
    }
    frequencies[static_cast<size_t>(i)] = plain * (1 - divided) + plain / scaling.factor * divided;
  }
  return frequencies;
}

RotaryScaling ReadRotaryScaling(const nlohmann::json& rope, double max_positions, const std::string& where) {
  if (!rope.is_object()) FailUsage(where, " is ", JsonText(rope), ", only an object or null is supported");
  RotaryScaling scaling;
  scaling.kind = ReadKind(rope, where);
  for (const auto& [name, value] : rope.items()) CheckParameter(name, value, scaling.kind, where);
  if (scaling.kind == RotaryScalingKind::kDefault) return scaling;
  scaling.factor = ReadNumber(rope, "factor", 1, 0, where);
  if (scaling.factor == 0) FailUsage(where, ": 'factor' is missing");
  if (scaling.kind == RotaryScalingKind::kYarn) ReadYarn(rope, max_positions, where, scaling);
  return scaling;
}

}  // namespace attention
