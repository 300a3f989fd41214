#include "src/experiment/ask/experiment_file.h"

#include <algorithm>
#include <set>

#include "src/base/error.h"
#include "src/experiment/ask/axes.h"
#include "src/experiment/ask/claims.h"
#include "src/experiment/ask/yaml_reader.h"
#include "src/experiment/text/spelling.h"

namespace attention {
namespace {

const std::vector<std::string> kTopLevelAxes = {"model", "scope", "phase", "dtype", "batch"};
const std::vector<std::string> kMeasureAxes = {"cache", "data"};
const std::vector<std::string> kLimits = {"round", "launch"};
const std::vector<std::string> kKeys = {"title",  "grid",     "exclude", "measure", "accuracy",
                                        "expect", "launches", "weights", "margin",  "control"};
const std::vector<std::string> kJoinedByProfiles = {"grid", "measure", "accuracy"};
constexpr int64_t kMostLaunches = 999;
constexpr int64_t kLargestSeed = INT64_MAX - 1;  // so that a number beyond 64 bits is out of range
constexpr int64_t kLargestOrderSeed = (int64_t{1} << 53) - 1;  // kept in JSON

// Runs a conversion whose complaint lacks a position, and adds the reader's.
template <typename Function>
auto WithPosition(const YamlReader& reader, Function function) {
  try {
    return function();
  } catch (const Error& error) {
    reader.Fail(error.what());
  }
}

ModelShape ReadModel(const YamlReader& reader) {
  if (!reader.is_map()) {
    return *FindQwen3Shape(ReadAxisValue("model", reader));
  }
  const std::vector<std::string> keys = {"name", "heads", "kv_heads", "head_dim"};
  reader.AllowKeys(keys);
  ModelShape shape;
  shape.query_heads = reader.Get("heads").Integer(1, 4096);
  const YamlReader kv_heads = reader.Get("kv_heads");
  shape.kv_heads = kv_heads.Integer(1, 4096);
  shape.head_dim = reader.Get("head_dim").Integer(1, 256);
  if (shape.query_heads % shape.kv_heads != 0) {
    kv_heads.Fail(internal::Concatenate(shape.kv_heads, " KV heads do not divide ", shape.query_heads,
                                        " heads; every KV head serves the same number of query heads"));
  }
  const std::optional<YamlReader> name = reader.Find("name");
  shape.name = name
                   ? name->Text()
                   : internal::Concatenate("h", shape.query_heads, "kv", shape.kv_heads, "d", shape.head_dim);
  if (name && FindQwen3Shape(shape.name))
    name->Fail("'" + shape.name + "' is a known model; take another name");
  return shape;
}

// {headwise: 2, sequence: 4}, or 2x4 as on the command line.
Grid ReadVariantGrid(const YamlReader& reader) {
  if (!reader.is_map()) {
    return WithPosition(reader, [&] { return GridFromText(reader.Text()); });
  }
  const std::vector<std::string> keys = {"headwise", "sequence"};
  reader.AllowKeys(keys);
  constexpr int64_t kMostRanks = 1 << 20;
  return {static_cast<int>(reader.Get("headwise").Integer(1, kMostRanks)),
          static_cast<int>(reader.Get("sequence").Integer(1, kMostRanks))};
}

// Labels are columns of CSV files, keys of JSON and words of reports: what some reader of those would take
// for a number, a boolean or an end of line, or would trim, may not be one.
void RequirePlainLabel(const std::string& label, const YamlReader& reader) {
  const bool is_plain =
      std::all_of(label.begin(), label.end(), [](unsigned char c) { return c >= 0x20 && c < 0x7F; });
  const bool is_spoilt =
      label.find_first_of("\"/") != std::string::npos || label.front() == ' ' || label.back() == ' ';
  if (!is_plain || is_spoilt || label.size() > 80) {
    reader.Fail(
        "a name is 1 to 80 printable ASCII characters without quotes and slashes, and without blanks at its "
        "ends");
  }
  if (ParseNumber(label) || ParseBoolean(label))
    reader.Fail("a name may not read as a number or as true or false");
}

VariantSpec ReadVariant(const YamlReader& reader) {
  if (!reader.is_map()) {
    const std::string text = reader.Text();
    return WithPosition(reader, [&] { return ParseVariantSpec(text); });
  }
  const std::vector<std::string> keys = {"name", "strategy",  "exchange", "sharding",
                                         "grid", "algorithm", "q_block",  "kv_block"};
  reader.AllowKeys(keys);
  VariantSpec spec;
  const auto read = [&](const char* key, auto convert) {
    const YamlReader value = reader.Get(key);
    return WithPosition(value, [&] { return convert(value.Text()); });
  };
  const std::optional<ParallelStrategy> strategy = read("strategy", StrategyOrAutoFromText);
  spec.is_auto = !strategy;
  if (strategy) spec.strategy = *strategy;
  for (const char* key : {"exchange", "sharding", "grid"}) {
    if (spec.is_auto && reader.Find(key)) {
      reader.Get(key).Fail("strategy auto chooses it; leave it out, or name a strategy");
    }
  }
  spec.algorithm = read("algorithm", AlgorithmFromText);
  if (reader.Find("exchange")) spec.exchange = read("exchange", ExchangeFromText);
  if (reader.Find("sharding")) spec.sharding = read("sharding", ShardingFromText);
  if (const auto grid = reader.Find("grid")) spec.grid = ReadVariantGrid(*grid);
  for (const char* key : {"q_block", "kv_block"}) {
    const std::optional<YamlReader> value = reader.Find(key);
    if (!value) continue;
    const std::string text = ReadAxisValue(key, *value);
    (std::string_view(key) == "q_block" ? spec.tiles.q_block : spec.tiles.kv_block) =
        ParseInteger(text).value_or(0);
  }
  spec.label = reader.Get("name").Text();
  RequirePlainLabel(spec.label, reader.Get("name"));
  return spec;
}

// One value of the axis called `name`, in canonical spelling; models and variants are kept in `spec` under
// it.
std::string ReadGridValue(const std::string& name, const YamlReader& reader, ExperimentSpec& spec) {
  const Axis& axis = *FindAxis(name);
  if (axis.kind == AxisKind::kModel) {
    const ModelShape shape = ReadModel(reader);
    const auto [entry, inserted] = spec.models.emplace(shape.name, shape);
    if (!inserted && !(entry->second == shape)) reader.Fail("two shapes are called '" + shape.name + "'");
    return shape.name;
  }
  if (axis.kind == AxisKind::kVariant) {
    const VariantSpec variant = ReadVariant(reader);
    spec.variants.emplace(variant.label, variant);
    return variant.label;
  }
  return ReadAxisValue(name, reader);
}

void AddAxis(const std::string& name, const std::vector<YamlReader>& items, ExperimentSpec& spec) {
  const Axis& axis = *FindAxis(name);
  std::vector<AxisValue>& values = spec.axes[axis.name];
  if (!values.empty())
    items.front().Fail("axis " + axis.name + " is given twice (here and at " + values[0].where + ")");
  std::set<std::string> seen;
  for (const YamlReader& item : items) {
    const std::string text = ReadGridValue(name, item, spec);
    if (!seen.insert(text).second) item.Fail("'" + text + "' is in the list twice");
    values.push_back({text, item.where()});
  }
}

void ReadGrid(const YamlReader& reader, ExperimentSpec& spec) {
  const std::vector<std::string> names = AxisNames();
  reader.AllowKeys(names);
  if (reader.Keys().empty())
    reader.Fail("the grid is empty; it needs at least variant: " + FindAxis("variant")->example);
  for (const std::string& name : reader.Keys()) {
    AddAxis(name, reader.Get(name).Items(FindAxis(name)->example), spec);
  }
  if (!reader.Find("variant")) {
    reader.Fail("axis 'variant' is missing; it says what is compared, such as variant: " +
                FindAxis("variant")->example);
  }
}

// The rule that chooses from a pilot is made for ten rounds and more; none at all leaves it to the budget.
int ReadPilotRounds(const YamlReader& reader) {
  const int64_t rounds = reader.Integer(0, 1000);
  if (rounds > 0 && rounds < 10)
    reader.Fail(internal::Concatenate("0 or 10 to 1000 is expected; found ", rounds));
  return static_cast<int>(rounds);
}

// launches: 5, or {looks: [16, 32, 64]}.
std::vector<int> ReadLooks(const YamlReader& reader) {
  if (!reader.is_map()) return {static_cast<int>(reader.Integer(1, kMostLaunches))};
  const std::vector<std::string> keys = {"looks"};
  reader.AllowKeys(keys);
  std::vector<int> looks;
  for (const YamlReader& item : reader.Get("looks").Items("[16, 32, 64, 128]")) {
    const int look = static_cast<int>(item.Integer(1, kMostLaunches));
    if (!looks.empty() && look <= looks.back()) {
      item.Fail(internal::Concatenate("looks must rise; ", look, " comes after ", looks.back()));
    }
    looks.push_back(look);
  }
  return looks;
}

// {duplicate: VARIANT, every: 4}
Control ReadControl(const YamlReader& reader, const ExperimentSpec& spec) {
  const std::vector<std::string> keys = {"duplicate", "every"};
  reader.AllowKeys(keys);
  Control control;
  const YamlReader duplicate = reader.Get("duplicate");
  control.duplicate = duplicate.Text();
  if (spec.variants.count(control.duplicate) == 0) {
    std::vector<std::string> labels;
    for (const AxisValue& variant : spec.axes.at("variant")) labels.push_back(variant.text);
    duplicate.Fail("'" + control.duplicate.substr(0, 80) + "' is no variant of the grid, which has " +
                   Join(labels) + DidYouMean(control.duplicate, labels));
  }
  if (const auto every = reader.Find("every")) control.every = static_cast<int>(every->Integer(1, 1000));
  return control;
}

void ReadMeasure(const YamlReader& reader, ExperimentSpec& spec) {
  const std::vector<std::string> keys = {
      "warmup",           "rounds", "pilot_rounds", "min_rounds", "max_rounds",           "seconds_per_cell",
      "detectable_ratio", "seed",   "cache",        "data",       "max_seconds_per_cell", "parts",
      "order_seed",       "limits"};
  reader.AllowKeys(keys);
  MeasureOptions& measure = spec.measure;
  if (const auto value = reader.Find("warmup")) measure.warmup = value->Integer(0, 1000);
  if (const auto value = reader.Find("rounds")) {
    measure.rounds = value->is_scalar() && value->Text() == "auto" ? 0 : value->Integer(1, 100000);
  }
  if (const auto value = reader.Find("pilot_rounds")) measure.pilot_rounds = ReadPilotRounds(*value);
  if (const auto value = reader.Find("max_rounds")) measure.max_rounds = value->Integer(1, 100000);
  measure.min_rounds = std::min(measure.min_rounds, measure.max_rounds);
  if (const auto value = reader.Find("min_rounds")) {
    measure.min_rounds = value->Integer(1, 100000);
    if (measure.min_rounds > measure.max_rounds) {
      value->Fail(internal::Concatenate("min_rounds ", measure.min_rounds, " is above max_rounds ",
                                        measure.max_rounds));
    }
  }
  if (const auto value = reader.Find("seconds_per_cell")) measure.seconds_per_cell = value->Number(0.01, 1e6);
  if (const auto value = reader.Find("detectable_ratio"))
    measure.detectable_ratio = value->Number(1.011, 100);
  if (const auto value = reader.Find("seed")) measure.seed = value->Integer(0, kLargestSeed);
  if (const auto value = reader.Find("max_seconds_per_cell"))
    measure.max_seconds_per_cell = value->Number(0.01, 1e6);
  if (const auto value = reader.Find("order_seed")) measure.order_seed = value->Integer(0, kLargestOrderSeed);
  if (const auto value = reader.Find("limits")) measure.limits_each_round = value->Choice(kLimits) == "round";
  if (const auto value = reader.Find("parts")) measure.measure_parts = value->Boolean();
  for (const std::string& axis : kMeasureAxes) {
    if (const auto value = reader.Find(axis)) AddAxis(axis, {*value}, spec);
  }
}

void ReadExclude(const YamlReader& reader, ExperimentSpec& spec) {
  for (const YamlReader& item : reader.Items("[{model: [qwen3-8b], seq_len: [8192]}]")) {
    spec.exclude.push_back(ReadWhere(item, spec));
  }
}

bool IsPlainName(const std::string& name) {
  constexpr size_t kLongest = 64;
  return !name.empty() && name.size() <= kLongest &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == std::string::npos;
}

std::string ReadName(const YamlReader& reader) {
  std::string name = reader.Text();
  if (!IsPlainName(name)) {
    reader.Fail("'" + name.substr(0, 40) +
                "' is not a plain name (a-z, 0-9, _ and -, at most 64 of them): "
                "it names the directory of the results");
  }
  return name;
}

// One launch on several ranks gives estimates and no verdict, so a file that claims something wants more.
const std::vector<int> kDefaultLooks = {16, 32, 64, 128};

bool HasSeveralRanks(const ExperimentSpec& spec) {
  const std::vector<AxisValue>& ranks = spec.axes.at("ranks");
  return std::any_of(ranks.begin(), ranks.end(), [](const AxisValue& value) { return value.text != "1"; });
}

// Everything but profiles.
ExperimentSpec ReadSpec(const YamlReader& root) {
  ExperimentSpec spec;
  spec.name = ReadName(root.Get("name"));
  const auto title = root.Find("title");
  spec.title = title ? title->Text() : spec.name;
  if (const auto value = root.Find("launches")) spec.looks = ReadLooks(*value);
  if (const auto value = root.Find("margin")) spec.margin = value->Number(0.001, 0.5);
  if (const auto value = root.Find("weights")) {
    spec.weights_path = value->Text();
    if (spec.weights_path.empty()) value->Fail("a path is expected");
  }
  for (const std::string& axis : kTopLevelAxes) {
    if (const auto value = root.Find(axis)) AddAxis(axis, {*value}, spec);
  }
  ReadGrid(root.Get("grid"), spec);
  if (const auto value = root.Find("measure")) ReadMeasure(*value, spec);
  if (const auto accuracy = root.Find("accuracy")) {
    const std::vector<std::string> accuracy_keys = {"reference_rows"};
    accuracy->AllowKeys(accuracy_keys);
    if (const auto rows = accuracy->Find("reference_rows")) spec.reference_rows = rows->Integer(1, 1 << 20);
  }
  FillDefaultAxes(spec);
  if (const auto value = root.Find("exclude")) ReadExclude(*value, spec);
  if (const auto value = root.Find("control")) spec.control = ReadControl(*value, spec);
  if (const auto value = root.Find("expect")) spec.claims = ReadClaims(*value, spec);
  if (!root.Find("launches") && !spec.claims.empty() && HasSeveralRanks(spec)) spec.looks = kDefaultLooks;
  return spec;
}

constexpr size_t kMostProfiles = 32;

std::vector<std::string> KeysOfProfiles() {
  std::vector<std::string> keys = kKeys;
  keys.insert(keys.end(), kTopLevelAxes.begin(), kTopLevelAxes.end());
  return keys;
}

std::map<std::string, YamlReader> ReadProfiles(const YamlReader& root) {
  std::map<std::string, YamlReader> profiles;
  const std::optional<YamlReader> all = root.Find("profiles");
  if (!all) return profiles;
  if (!all->is_map()) all->Fail("a map is expected, such as {cluster: {grid: {ranks: [8, 16]}}}");
  const std::vector<std::string> names = all->Keys();
  // Each is read as an experiment of its own.
  if (names.size() > kMostProfiles) {
    all->Fail(internal::Concatenate("holds ", names.size(), " profiles, at most ", kMostProfiles));
  }
  all->AllowKeys(names);  // none twice
  const std::vector<std::string> keys = KeysOfProfiles();
  for (const std::string& name : names) {
    const YamlReader profile = all->Get(name);
    if (!IsPlainName(name))
      profile.Fail("'" + name.substr(0, 40) + "' is not a plain name (a-z, 0-9, _ and -)");
    profile.AllowKeys(keys);
    profiles.emplace(name, profile);
  }
  return profiles;
}

}  // namespace

void FillDefaultAxes(ExperimentSpec& spec) {
  for (const Axis& axis : Axes()) {
    if (spec.axes.count(axis.name) > 0) continue;
    if (axis.kind == AxisKind::kModel && !spec.weights_path.empty()) continue;
    spec.axes[axis.name] = {{axis.default_value, axis.name}};
    if (axis.kind == AxisKind::kModel) spec.models[axis.default_value] = *FindQwen3Shape(axis.default_value);
  }
}

std::vector<int> LooksUpTo(const std::vector<int>& looks, int launches) {
  // One look is a fixed number, which another one replaces; several are a plan, which is cut.
  if (looks.size() == 1) return {launches};
  std::vector<int> fewer;
  for (int look : looks) {
    if (look < launches) fewer.push_back(look);
  }
  if (fewer.size() < looks.size()) fewer.push_back(launches);
  return fewer;
}

ExperimentSpec ParseExperiment(const std::string& text, const std::string& file_name) {
  const YamlReader root = YamlReader::Parse(text, file_name);
  std::vector<std::string> keys = KeysOfProfiles();
  keys.insert(keys.begin(), "name");
  keys.insert(keys.end(), {"profiles", "profile"});
  root.AllowKeys(keys);
  const std::map<std::string, YamlReader> profiles = ReadProfiles(root);
  ExperimentSpec spec = ReadSpec(root);
  // The others are checked, too: a mistake in one is better found here than on the machine it is for.
  const std::optional<YamlReader> chosen = root.Find("profile");
  for (const auto& [name, profile] : profiles) {
    ExperimentSpec other = ReadSpec(root.Overlaid(profile, kJoinedByProfiles));
    if (chosen && chosen->Text() == name) spec = std::move(other);
  }
  if (chosen) {
    const std::string name = chosen->Text();
    std::vector<std::string> names;
    for (const auto& [known, profile] : profiles) names.push_back(known);
    if (profiles.count(name) == 0) {
      chosen->Fail("'" + name.substr(0, 40) + "' is no profile of this file, which has " +
                   (names.empty() ? "none" : Join(names) + DidYouMean(name, names)));
    }
    spec.name += "_" + name;
  }
  spec.config_text = text;
  return spec;
}

std::string WithProfile(const std::string& text, const std::string& profile) {
  if (!IsPlainName(profile)) {
    FailUsage("'", profile.substr(0, 40),
              "' is no name of a profile (a-z, 0-9, _ and -, at most 64 of them)");
  }
  return text + (text.empty() || text.back() == '\n' ? "" : "\n") + "profile: " + profile + "\n";
}

}  // namespace attention
