// The axes of an experiment: their names, what values they take, and how values are spelled.
//
// One spelling everywhere: experiment file, command line, CSV, claims. Every axis is a row of one table,
// which everything that knows axes is made from: grid, exclude and claims, options and their help, cells and
// their ids, reports, progress, columns of cases.csv.
#ifndef SRC_EXPERIMENT_ASK_AXES_H_
#define SRC_EXPERIMENT_ASK_AXES_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/experiment/ask/cell.h"
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

// What the values of a cell may depend on beside themselves.
struct AxisContext {
  const std::map<std::string, ModelShape>& models;  // by the text of the axis `model`
  Isa best_isa = Isa::kScalar;                      // what isa auto means
};

// A column of cases.csv.
struct CellColumn {
  std::string name;
  std::string (*print)(const Cell&) = nullptr;
  int since = 1;  // schema version that brought it
};

// A name that still is understood, with yes/no values.
struct OlderName {
  std::string name;  // "" = none
  std::string true_value;
  std::string false_value;
  std::string help;
};

// All there is to know of an axis: the only place that a new one touches beside the field of Cell it sets.
struct Axis {
  std::string name;  // in YAML, CSV and claims; with dashes on the command line
  AxisKind kind = AxisKind::kChoice;
  std::vector<std::string> choices = {};
  int64_t minimum = 0;
  int64_t maximum = 0;
  std::string default_value = "";  // "" = must be given
  std::string example = "";        // of a list, for complaints and help; "" = the choices
  std::string help = "";           // of the option; "" = the command line has none
  std::string help_default = "";   // where another default holds there
  OlderName older_name = {};
  // Sets a canonical value. Null: the axis is inside a cell (variant, tiles), and so are the rest below.
  void (*set)(const std::string& value, const AxisContext& context, Cell& cell) = nullptr;
  // As reports show it.
  std::string (*print)(const Cell&) = nullptr;
  // Of the line of progress: what stands before the value; "" = it is not shown.
  std::string progress = "";
  // Empty: one, of the axis' own name and print.
  std::vector<CellColumn> columns = {};
  bool of_decoders = false;  // means nothing at scope attention
  bool in_id = true;         // false: the cell's id holds it in another way
  // Ids of cells from before the axis hold nothing of it: a new axis leaves its default value out.
  bool default_in_id = true;
};

// All axes, in the order of the plan (the last changes fastest), variant last.
std::span<const Axis> Axes();
// Those of cases.csv, in order of the axes.
std::vector<CellColumn> CellColumns();
// How the id of a cell, a hash, spells a value: {name, value}.
std::pair<std::string, std::string> IdFactor(const Axis& axis, const std::string& value);
// The help of the axis' option: what it is, its values, its default.
std::string OptionHelp(const Axis& axis);
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
