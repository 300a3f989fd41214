#include "src/experiment/ask/axes.h"

#include <algorithm>

#include "src/attention/mask.h"
#include "src/base/error.h"
#include "src/experiment/ask/yaml_reader.h"
#include "src/experiment/text/spelling.h"
#include "src/qwen3/checkpoint/model_shapes.h"

namespace attention {
namespace {

constexpr int64_t kMaximumTokens = int64_t{1} << 24;

std::vector<Axis> MakeAxes() {
  std::vector<std::string> models;
  for (const ModelShape& shape : Qwen3Shapes()) models.push_back(shape.name);
  const auto choice = [](std::string name, std::vector<std::string> choices, std::string default_value) {
    std::string example = "[" + Join(choices) + "]";
    return Axis{std::move(name),
                AxisKind::kChoice,
                std::move(choices),
                0,
                0,
                std::move(default_value),
                std::move(example),
                "",
                "",
                ""};
  };
  const auto integer = [](std::string name, int64_t minimum, int64_t maximum, std::string default_value,
                          std::string example) {
    const AxisKind kind = default_value == "auto" ? AxisKind::kAutoInteger : AxisKind::kInteger;
    return Axis{std::move(name),    kind, {}, minimum, maximum, std::move(default_value),
                std::move(example), "",   "", ""};
  };
  std::vector<Axis> axes;
  axes.push_back({"model", AxisKind::kModel, models, 0, 0, "qwen3-0.6b",
                  "[qwen3-0.6b, {heads: 6, kv_heads: 2, head_dim: 64}]", "", "", ""});
  axes.push_back(choice("scope", {"attention", "block", "layer", "model"}, "attention"));
  axes.push_back(choice("phase", {"prefill", "decode"}, "prefill"));
  axes.push_back(choice("contract", {"native", "replicated", "token_sharded"}, "native"));
  axes.push_back(choice("dtype", {"fp32", "bf16"}, "fp32"));
  axes.push_back(choice("isa", {"auto", "scalar", "sse4", "avx2", "avx512"}, "auto"));
  axes.push_back(integer("batch", 1, 1 << 16, "1", "[1, 4]"));
  axes.push_back(integer("seq_len", 1, kMaximumTokens, "1024", "[512, 1024]"));
  axes.push_back({"mask",
                  AxisKind::kMask,
                  {},
                  0,
                  0,
                  "causal",
                  "[full, causal, window:512, {documents: [5, 1, 58]}]",
                  "causal",
                  "causal",
                  "full"});
  axes.push_back(integer("ranks", 1, 1 << 20, "1", "[1, 2]"));
  axes.push_back(integer("threads", 1, 4096, "1", "[1, 2]"));
  axes.push_back(choice("placement", {"packed", "spread"}, "packed"));
  axes.push_back(choice("cache", {"warm", "cold"}, "warm"));
  axes.push_back(choice("data", {"gaussian", "peaked"}, "gaussian"));
  axes.push_back(integer("q_block", 1, kMaximumTokens, "auto", "[auto, 64]"));
  axes.push_back(integer("kv_block", 1, kMaximumTokens, "auto", "[auto, 256]"));
  axes.push_back({"variant",
                  AxisKind::kVariant,
                  {},
                  0,
                  0,
                  "",
                  "[sequence+online_softmax, headwise+standard]",
                  "",
                  "",
                  ""});
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

const Axis* FindAxis(std::string_view name) {
  for (const Axis& axis : Axes()) {
    if (axis.name == name || (!axis.older_name.empty() && axis.older_name == name)) return &axis;
  }
  return nullptr;
}

std::vector<std::string> AxisNames() {
  std::vector<std::string> names;
  for (const Axis& axis : Axes()) {
    names.push_back(axis.name);
    if (!axis.older_name.empty()) names.push_back(axis.older_name);
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
    return *value ? axis.older_true : axis.older_false;
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
      const std::string allowed = internal::Concatenate(automatic ? "auto or " : "", "a whole number from ",
                                                        axis.minimum, " to ", axis.maximum);
      const std::optional<int64_t> value = ParseInteger(text);
      if (!value) FailUsage(allowed, " is expected; found '", text.substr(0, 60), "'");
      if (*value < axis.minimum || *value > axis.maximum) {
        FailUsage(text.substr(0, 60), " is out of range, allowed is ", allowed);
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
