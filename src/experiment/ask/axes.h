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

namespace attention {

enum class AxisKind {
  kChoice,       // one of `choices`
  kInteger,      // minimum to maximum
  kAutoInteger,  // "auto" or minimum to maximum
  kBoolean,      // true or false
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
};

// All axes, in the order of the plan (the last changes fastest), variant last.
std::span<const Axis> Axes();
// Null if there is none.
const Axis* FindAxis(std::string_view name);
std::vector<std::string> AxisNames();

// The canonical spelling of a value ("on" -> "true", "007" -> "7"). Throws Error, "what is wrong, what is
// allowed; did you mean X?", without the name of the axis. kModel: a known name. kVariant: any text.
std::string CanonicalAxisValue(const Axis& axis, const std::string& text);

}  // namespace attention

#endif  // SRC_EXPERIMENT_ASK_AXES_H_
