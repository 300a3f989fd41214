// The axes of an experiment: their names, what values they take, and how values are spelled.
//
// One spelling everywhere: experiment file, command line, CSV, claims. Every axis but `variant` and `model`
// (which also take maps) is described by one line of a table.
#ifndef SRC_EXPERIMENT_ASK_AXES_H_
#define SRC_EXPERIMENT_ASK_AXES_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/experiment/ask/yaml_reader.h"

namespace attention {

enum class AxisKind {
  kChoice,       // one of `choices`
  kInteger,      // minimum to maximum
  kAutoInteger,  // "auto" or minimum to maximum
  kMask,         // as attention/mask.h spells it; in YAML also a map, {window: 512}
  kModel,        // a Qwen3 name, or a map of heads
  kVariant,      // strategy(exchange,sharding)+algorithm
};

struct Axis {
  std::string name;
  AxisKind kind = AxisKind::kChoice;
  std::vector<std::string> choices;
  int64_t minimum = 0;
  int64_t maximum = 0;
  std::string default_value;  // "" = must be given
  std::string example;        // of a list, for complaints and help
  // An older name that still is understood, with yes/no values: what true and false mean now. "" = none.
  std::string older_name;
  std::string older_true;
  std::string older_false;
};

// All axes, in the order of the plan (the last changes fastest), variant last.
std::span<const Axis> Axes();
// By its name or an older one; null if there is none.
const Axis* FindAxis(std::string_view name);
// All that FindAxis knows.
std::vector<std::string> AxisNames();

// The canonical spelling of a value of what is called `name`, an axis or an older name ("007" -> "7"; causal
// "on" -> "causal"). Throws Error, "what is wrong, what is allowed; did you mean X?", without the name.
// kModel: a known name. kVariant: any text.
std::string CanonicalAxisValue(std::string_view name, const std::string& text);

// That of a value in YAML; complaints say where it stands. A mask may be a map: {window: 512}, {documents:
// [5, 1, 58]}.
std::string ReadAxisValue(std::string_view name, const YamlReader& reader);

}  // namespace attention

#endif  // SRC_EXPERIMENT_ASK_AXES_H_
