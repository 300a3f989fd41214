#include "src/experiment/ask/axes.h"

#include <algorithm>
#include <initializer_list>

#include "src/attention/mask.h"
#include "src/base/error.h"
#include "src/experiment/ask/yaml_reader.h"
#include "src/experiment/text/spelling.h"
#include "src/qwen3/checkpoint/model_shapes.h"

namespace attention {
namespace {

constexpr int64_t kMaximumTokens = int64_t{1} << 24;

constexpr int64_t kMostRanks = 1 << 20;

int64_t Number(const std::string& text) { return ParseInteger(text).value_or(0); }

std::string Text(std::string_view text) { return std::string(text); }

// The value whose name is `text`, which is one of the axis' choices.
template <typename Value>
void SetByName(const std::string& text, std::initializer_list<Value> values, Value& target) {
  for (Value value : values) {
    if (Name(value) == text) target = value;
  }
}

std::vector<std::string> ModelNames() {
  std::vector<std::string> names;
  for (const ModelShape& shape : Qwen3Shapes()) names.push_back(shape.name);
  return names;
}

std::vector<std::string> IsaNames() {
  std::vector<std::string> names = {"auto"};
  for (const IsaRow& row : kIsaTable) names.emplace_back(row.name);
  return names;
}

void SetModel(const std::string& value, const AxisContext& context, Cell& cell) {
  cell.model = context.models.at(value);
  cell.problem.query_heads = cell.model.query_heads;
  cell.problem.kv_heads = cell.model.kv_heads;
  cell.problem.head_dim = cell.model.head_dim;
}

std::string PrintModel(const Cell& cell) { return cell.model.name; }
std::string PrintActivations(const Cell& cell) { return Name(cell.precision.activations); }
std::string PrintKvCache(const Cell& cell) { return Name(cell.precision.kv_cache); }
std::string PrintCachedTokens(const Cell& cell) { return std::to_string(cell.cached_tokens); }
std::string PrintMask(const Cell& cell) { return Name(cell.problem.mask); }

// What is computed.
void AddProblemAxes(std::vector<Axis>& axes) {
  axes.push_back(
      {.name = "model",
       .kind = AxisKind::kModel,
       .choices = ModelNames(),
       .default_value = "qwen3-0.6b",
       .example = "[qwen3-0.6b, {heads: 6, kv_heads: 2, head_dim: 64}]",
       .help = "shape",
       .set = &SetModel,
       .print = &PrintModel,
       .progress = " ",
       .columns = {{"model", &PrintModel},
                   {"heads", [](const Cell& c) { return std::to_string(c.problem.query_heads); }},
                   {"kv_heads", [](const Cell& c) { return std::to_string(c.problem.kv_heads); }},
                   {"head_dim", [](const Cell& c) { return std::to_string(c.problem.head_dim); }}}});
  axes.push_back(
      {.name = "scope",
       .choices = {"attention", "block", "layer", "model"},
       .default_value = "attention",
       .help = "what is run",
       .set =
           [](const std::string& value, const AxisContext&, Cell& cell) {
             SetByName(value, {Scope::kAttention, Scope::kBlock, Scope::kLayer, Scope::kModel}, cell.scope);
           },
       .print = [](const Cell& cell) { return Text(Name(cell.scope)); }});
  axes.push_back({.name = "phase",
                  .choices = {"prefill", "decode"},
                  .default_value = "prefill",
                  .help = "decode: one new token, --seq-len keys, made but its own",
                  .set =
                      [](const std::string& value, const AxisContext&, Cell& cell) {
                        SetByName(value, {Phase::kPrefill, Phase::kDecode}, cell.phase);
                      },
                  .print = [](const Cell& cell) { return Text(Name(cell.phase)); },
                  .progress = " "});
  axes.push_back({.name = "contract",
                  .choices = {"native", "replicated", "token_sharded"},
                  .default_value = "native",
                  .help = "where inputs start and outputs end",
                  .set =
                      [](const std::string& value, const AxisContext&, Cell& cell) {
                        SetByName(value, {Contract::kNative, Contract::kReplicated, Contract::kTokenSharded},
                                  cell.contract);
                      },
                  .print = [](const Cell& cell) { return Text(Name(cell.contract)); },
                  .progress = " "});
  axes.push_back({.name = "dtype",
                  .choices = {"fp32", "bf16"},
                  .default_value = "fp32",
                  .help = "of inputs and weights",
                  .set =
                      [](const std::string& value, const AxisContext&, Cell& cell) {
                        SetByName(value, {DataType::kFloat32, DataType::kBfloat16}, cell.problem.data_type);
                      },
                  .print = [](const Cell& cell) { return Text(Name(cell.problem.data_type)); }});
  axes.push_back(
      {.name = "activations",
       .choices = {"fp32", "bf16"},
       .default_value = "fp32",
       .help = "what linear layers multiply with bf16 weights; bf16 is rounded first",
       .set =
           [](const std::string& value, const AxisContext&, Cell& cell) {
             SetByName(value, {DataType::kFloat32, DataType::kBfloat16}, cell.precision.activations);
           },
       .print = &PrintActivations,
       .columns = {{"activations", &PrintActivations, 5}},
       .of_decoders = true,
       .default_in_id = false});
  axes.push_back(
      {.name = "kv_cache",
       .choices = {"fp32", "bf16", "int8"},
       .default_value = "fp32",
       .help = "type of a decoder's cached keys and values; bf16 also of queries and of what travels",
       .set =
           [](const std::string& value, const AxisContext&, Cell& cell) {
             SetByName(value, {DataType::kFloat32, DataType::kBfloat16, DataType::kInt8},
                       cell.precision.kv_cache);
           },
       .print = &PrintKvCache,
       .columns = {{"kv_cache", &PrintKvCache, 5}},
       .of_decoders = true,
       .default_in_id = false});
  axes.push_back({.name = "isa",
                  .choices = IsaNames(),
                  .default_value = "auto",
                  .help = "of the kernels",
                  .set = [](const std::string& value, const AxisContext& context,
                            Cell& cell) { cell.isa = ParseIsa(value).value_or(context.best_isa); },
                  .print = [](const Cell& cell) { return Text(Name(cell.isa)); },
                  .progress = " ",
                  .in_id = false});  // auto is what it stands for
  axes.push_back({.name = "batch",
                  .kind = AxisKind::kInteger,
                  .minimum = 1,
                  .maximum = 1 << 16,
                  .default_value = "1",
                  .example = "[1, 4]",
                  .help = "sequences at once",
                  .set = [](const std::string& value, const AxisContext&,
                            Cell& cell) { cell.problem.batch = Number(value); },
                  .print = [](const Cell& cell) { return std::to_string(cell.problem.batch); }});
  axes.push_back(
      {.name = "seq_len",
       .kind = AxisKind::kInteger,
       .minimum = 1,
       .maximum = kMaximumTokens,
       .default_value = "1024",
       .example = "[512, 1024]",
       .help = "tokens",
       .set = [](const std::string& value, const AxisContext&, Cell& cell) { cell.seq_len = Number(value); },
       .print = [](const Cell& cell) { return std::to_string(cell.seq_len); },
       .progress = " S="});
  axes.push_back({.name = "cached_tokens",
                  .kind = AxisKind::kInteger,
                  .minimum = 0,
                  .maximum = kMaximumTokens,
                  .default_value = "0",
                  .example = "[0, 8192]",
                  .help = "of a prefill: keys and values that are there before its --seq-len tokens",
                  .set = [](const std::string& value, const AxisContext&,
                            Cell& cell) { cell.cached_tokens = Number(value); },
                  .print = &PrintCachedTokens,
                  .columns = {{"cached_tokens", &PrintCachedTokens, 6}},
                  .default_in_id = false});
  axes.push_back({.name = "mask",
                  .kind = AxisKind::kMask,
                  .default_value = "causal",
                  .example = "[full, causal, window:512, {documents: [5, 1, 58]}]",
                  .help = "which keys a query sees",
                  .older_name = {"causal", "causal", "full",
                                 "on or off: older spelling of --mask causal and --mask full"},
                  .set = [](const std::string& value, const AxisContext&,
                            Cell& cell) { cell.problem.mask = Mask::Parse(value); },
                  .print = &PrintMask,
                  .progress = " ",
                  .columns = {{"mask", &PrintMask, 2},
                              {"causal", [](const Cell& cell) {
                                 return Text(cell.problem.mask.sees_later_keys() ? "false" : "true");
                               }}}});
}

// Where and how it runs.
void AddMachineAxes(std::vector<Axis>& axes) {
  axes.push_back({.name = "ranks",
                  .kind = AxisKind::kInteger,
                  .minimum = 1,
                  .maximum = kMostRanks,
                  .default_value = "1",
                  .example = "[1, 2]",
                  .set = [](const std::string& value, const AxisContext&,
                            Cell& cell) { cell.ranks = static_cast<int>(Number(value)); },
                  .print = [](const Cell& cell) { return std::to_string(cell.ranks); },
                  .progress = " "});
  axes.push_back({.name = "threads",
                  .kind = AxisKind::kInteger,
                  .minimum = 1,
                  .maximum = 4096,
                  .default_value = "1",
                  .example = "[1, 2]",
                  .help = "OpenMP threads per rank",
                  .help_default = "cores of the node / its ranks",
                  .set = [](const std::string& value, const AxisContext&,
                            Cell& cell) { cell.threads = static_cast<int>(Number(value)); },
                  .print = [](const Cell& cell) { return std::to_string(cell.threads); },
                  .progress = "x"});
  axes.push_back({.name = "placement",
                  .choices = {"packed", "spread"},
                  .default_value = "packed",
                  .help = "how ranks and threads lie on nodes and cores",
                  .set =
                      [](const std::string& value, const AxisContext&, Cell& cell) {
                        SetByName(value, {Placement::kPacked, Placement::kSpread}, cell.placement);
                      },
                  .print = [](const Cell& cell) { return Text(Name(cell.placement)); }});
  axes.push_back({.name = "cache",
                  .choices = {"warm", "cold"},
                  .default_value = "warm",
                  .help = "cold: caches evicted before each sample",
                  .set =
                      [](const std::string& value, const AxisContext&, Cell& cell) {
                        SetByName(value, {CacheState::kWarm, CacheState::kCold}, cell.cache);
                      },
                  .print = [](const Cell& cell) { return Text(Name(cell.cache)); }});
  axes.push_back({.name = "data",
                  .choices = {"gaussian", "peaked"},
                  .default_value = "gaussian",
                  .help = "peaked: softmax nearly one-hot, attention sink",
                  .set =
                      [](const std::string& value, const AxisContext&, Cell& cell) {
                        SetByName(value, {InputDataKind::kGaussian, InputDataKind::kPeaked}, cell.data);
                      },
                  .print = [](const Cell& cell) { return Text(Name(cell.data)); }});
}

// What a cell compares.
void AddCaseAxes(std::vector<Axis>& axes) {
  axes.push_back({.name = "q_block",
                  .kind = AxisKind::kAutoInteger,
                  .minimum = 1,
                  .maximum = kMaximumTokens,
                  .default_value = "auto",
                  .example = "[auto, 64]",
                  .help = "query rows per tile"});
  axes.push_back({.name = "kv_block",
                  .kind = AxisKind::kAutoInteger,
                  .minimum = 1,
                  .maximum = kMaximumTokens,
                  .default_value = "auto",
                  .example = "[auto, 256]",
                  .help = "keys per tile"});
  axes.push_back({.name = "variant",
                  .kind = AxisKind::kVariant,
                  .example = "[sequence+online_softmax, headwise+standard]"});
}

std::vector<Axis> MakeAxes() {
  std::vector<Axis> axes;
  AddProblemAxes(axes);
  AddMachineAxes(axes);
  AddCaseAxes(axes);
  for (Axis& axis : axes) {
    if (axis.example.empty()) axis.example = "[" + Join(axis.choices) + "]";
    if (axis.columns.empty() && axis.print != nullptr) axis.columns = {{axis.name, axis.print}};
  }
  return axes;
}

// {window: 512} -> "window:512", {documents: [5, 1, 58]} -> "documents:5+1+58".
std::string SpellMap(const YamlReader& reader) {
  const std::vector<std::string> keys = reader.Keys();
  if (keys.size() != 1) reader.Fail("a mask that is a map has one key, such as {window: 512}");
  const YamlReader argument = reader.Get(keys.front());
  std::vector<std::string> numbers;
  if (argument.is_list()) {
    for (const YamlReader& item : argument.Items("[5, 1, 58]")) numbers.push_back(item.Text());
  } else {
    numbers.push_back(argument.Text());
  }
  return keys.front() + ":" + Join(numbers, "+");
}

}  // namespace

std::span<const Axis> Axes() {
  static const std::vector<Axis> kAxes = MakeAxes();
  return kAxes;
}

std::vector<CellColumn> CellColumns() {
  std::vector<CellColumn> columns;
  for (const Axis& axis : Axes()) columns.insert(columns.end(), axis.columns.begin(), axis.columns.end());
  return columns;
}

std::pair<std::string, std::string> IdFactor(const Axis& axis, const std::string& value) {
  const OlderName& older = axis.older_name;
  // Cells from before the new name keep their id.
  if (!older.name.empty() && value == older.true_value) return {older.name, "true"};
  if (!older.name.empty() && value == older.false_value) return {older.name, "false"};
  return {axis.name, value};
}

std::string OptionHelp(const Axis& axis) {
  std::string help = axis.help;
  if (!axis.choices.empty()) help += ": " + Join(axis.choices);
  if (axis.kind == AxisKind::kMask) help += ": " + MaskSpellings();
  return help + " (default " + (axis.help_default.empty() ? axis.default_value : axis.help_default) + ")";
}

const Axis* FindAxis(std::string_view name) {
  for (const Axis& axis : Axes()) {
    if (axis.name == name || (!axis.older_name.name.empty() && axis.older_name.name == name)) return &axis;
  }
  return nullptr;
}

std::vector<std::string> AxisNames() {
  std::vector<std::string> names;
  for (const Axis& axis : Axes()) {
    names.push_back(axis.name);
    if (!axis.older_name.name.empty()) names.push_back(axis.older_name.name);
  }
  return names;
}

std::string CanonicalAxisValue(std::string_view name, const std::string& text) {
  const Axis* found = FindAxis(name);
  Require(found != nullptr, "there is no axis ", name);
  const Axis& axis = *found;
  if (name != axis.name) {
    const std::optional<bool> value = ParseBoolean(text);
    if (!value) FailUsage("true or false is expected; found '", text.substr(0, 60), "'");
    return *value ? axis.older_name.true_value : axis.older_name.false_value;
  }
  switch (axis.kind) {
    case AxisKind::kVariant:
      return text;
    case AxisKind::kMask:
      return Name(Mask::Parse(text));
    case AxisKind::kModel:
    case AxisKind::kChoice:
      if (std::find(axis.choices.begin(), axis.choices.end(), text) == axis.choices.end()) {
        FailUsage("unknown value '", text.substr(0, 60), "', allowed are ", Join(axis.choices),
                  DidYouMean(text, axis.choices));
      }
      return text;
    case AxisKind::kAutoInteger:
    case AxisKind::kInteger: {
      const bool automatic = axis.kind == AxisKind::kAutoInteger;
      if (automatic && text == "auto") return text;
      const auto allowed = [&] {
        return internal::Concatenate(automatic ? "auto or " : "", "a whole number from ", axis.minimum,
                                     " to ", axis.maximum);
      };
      const std::optional<int64_t> value = ParseInteger(text);
      if (!value) FailUsage(allowed(), " is expected; found '", text.substr(0, 60), "'");
      if (*value < axis.minimum || *value > axis.maximum) {
        FailUsage(text.substr(0, 60), " is out of range, allowed is ", allowed());
      }
      return std::to_string(*value);
    }
  }
  return text;
}

std::string ReadAxisValue(std::string_view name, const YamlReader& reader) {
  const Axis* axis = FindAxis(name);
  Require(axis != nullptr, "there is no axis ", name);
  std::string text;
  if (axis->kind == AxisKind::kMask && name == axis->name && reader.is_map()) {
    text = SpellMap(reader);
  } else {
    if (!reader.is_scalar()) reader.Fail("a single value is expected, as in " + axis->example);
    text = reader.Text();
  }
  try {
    return CanonicalAxisValue(name, text);
  } catch (const Error& error) {
    reader.Fail(error.what());
  }
}

}  // namespace attention
