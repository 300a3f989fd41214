#include "src/experiment/ask/claims.h"

#include <algorithm>
#include <set>

#include "src/base/error.h"
#include "src/experiment/ask/axes.h"
#include "src/experiment/text/spelling.h"

namespace attention {
namespace {

// Numeric columns of cases.csv a claim may speak of; smaller is better where an order says "first".
const std::vector<std::string> kMetrics = {
    "time_s",          "gflops",         "pct_peak",         "compute_s",
    "comm_total_s",    "comm_exposed_s", "overlap_fraction", "comm_bytes_per_rank",
    "workspace_bytes", "peak_rss_bytes", "max_abs_err",      "rel_l2_err"};

std::vector<std::string> GridValues(const ExperimentSpec& spec, const std::string& axis) {
  std::vector<std::string> values;
  if (spec.axes.count(axis) == 0) return values;  // the model of weights that are not open yet
  for (const AxisValue& value : spec.axes.at(axis)) values.push_back(value.text);
  return values;
}

// Without a copy of the values: excludes of large grids ask it millions of times.
bool IsInGrid(const ExperimentSpec& spec, const std::string& axis, const std::string& text) {
  const auto values = spec.axes.find(axis);
  return values != spec.axes.end() && std::any_of(values->second.begin(), values->second.end(),
                                                  [&](const AxisValue& value) { return value.text == text; });
}

// A value of the axis called `name` that must be in the grid.
std::string ReadGridValue(const std::string& name, const YamlReader& reader, const ExperimentSpec& spec) {
  const Axis& axis = *FindAxis(name);
  std::string text;
  if (axis.kind == AxisKind::kVariant) {
    text = reader.Text();
    std::erase(text, ' ');
    if (spec.variants.count(text) == 0) text = reader.Text();
  } else if (axis.kind == AxisKind::kModel) {
    text = reader.Text();
  } else {
    text = ReadAxisValue(name, reader);
  }
  if (!IsInGrid(spec, axis.name, text)) {
    const std::vector<std::string> values = GridValues(spec, axis.name);
    reader.Fail("'" + text.substr(0, 80) + "' is not in the grid, whose " + axis.name + " values are " +
                Join(values) + DidYouMean(text, values));
  }
  return text;
}

std::vector<std::string> ReadOrder(const YamlReader& reader, const std::string& over,
                                   const ExperimentSpec& spec) {
  std::vector<std::string> order;
  for (const YamlReader& item : reader.Items("[fastest, ..., slowest]")) {
    order.push_back(ReadGridValue(over, item, spec));
    if (std::count(order.begin(), order.end(), order.back()) > 1) {
      item.Fail("'" + order.back() + "' is in the order twice");
    }
  }
  if (order.size() < 2) reader.Fail("an order needs at least two values");
  return order;
}

Claim::Ratio ReadRatio(const YamlReader& reader, const std::string& over, const ExperimentSpec& spec) {
  const std::vector<std::string> keys = {"slow", "fast", "min", "max"};
  reader.AllowKeys(keys);
  Claim::Ratio ratio;
  ratio.slow = ReadGridValue(over, reader.Get("slow"), spec);
  ratio.fast = ReadGridValue(over, reader.Get("fast"), spec);
  if (ratio.slow == ratio.fast) reader.Fail("slow and fast are the same value, '" + ratio.slow + "'");
  if (const auto value = reader.Find("min")) ratio.minimum = value->Number(1e-6, 1e6);
  if (const auto value = reader.Find("max")) ratio.maximum = value->Number(1e-6, 1e6);
  if (!ratio.minimum && !ratio.maximum) reader.Fail("a ratio needs min, max or both");
  if (ratio.minimum && ratio.maximum && *ratio.minimum > *ratio.maximum) {
    reader.Fail(internal::Concatenate("min ", *ratio.minimum, " is above max ", *ratio.maximum));
  }
  return ratio;
}

// Names of axes other than that of `over`.
std::vector<std::string> ReadRegime(const YamlReader& reader, const std::string& over) {
  const std::vector<std::string> axes = AxisNames();
  std::vector<std::string> regime;
  for (const YamlReader& item : reader.Items("[contract, seq_len]")) {
    const std::string name = FindAxis(item.Choice(axes))->name;
    if (name == over) item.Fail("a regime may not be made by '" + over + "', the axis of over");
    if (std::find(regime.begin(), regime.end(), name) != regime.end()) {
      item.Fail("'" + name + "' is in the list twice");
    }
    regime.push_back(name);
  }
  return regime;
}

Claim ReadClaim(const YamlReader& reader, const ExperimentSpec& spec) {
  const std::vector<std::string> keys = {"claim", "metric", "over", "order", "ratio", "where", "regime"};
  reader.AllowKeys(keys);
  Claim claim;
  claim.name = reader.Get("claim").Text();
  if (const auto metric = reader.Find("metric")) claim.metric = metric->Choice(kMetrics);
  const std::vector<std::string> axes = AxisNames();
  const std::string over = reader.Get("over").Choice(axes);
  claim.over = FindAxis(over)->name;
  const auto order = reader.Find("order");
  const auto ratio = reader.Find("ratio");
  if (order.has_value() == ratio.has_value()) {
    reader.Fail("claim '" + claim.name + "' needs either order or ratio" + (order ? ", not both" : ""));
  }
  if (order) claim.order = ReadOrder(*order, over, spec);
  if (ratio) claim.ratio = ReadRatio(*ratio, over, spec);
  if (const auto where = reader.Find("where")) {
    claim.where = ReadWhere(*where, spec);
    if (claim.where.count(claim.over) > 0)
      where->Fail("where may not restrict '" + claim.over + "', the axis of over");
  }
  if (const auto regime = reader.Find("regime")) claim.regime = ReadRegime(*regime, claim.over);
  return claim;
}

nlohmann::json ValueToJson(const std::string& axis_name, const std::string& text) {
  switch (FindAxis(axis_name)->kind) {
    case AxisKind::kInteger:
    case AxisKind::kAutoInteger:
      if (const std::optional<int64_t> number = ParseInteger(text)) return *number;
      return text;
    default:
      return text;
  }
}

}  // namespace

std::map<std::string, std::vector<std::string>> ReadWhere(const YamlReader& reader,
                                                          const ExperimentSpec& spec) {
  const std::vector<std::string> axes = AxisNames();
  reader.AllowKeys(axes);
  std::map<std::string, std::vector<std::string>> where;
  for (const std::string& name : reader.Keys()) {
    const Axis& axis = *FindAxis(name);
    const YamlReader value = reader.Get(name);
    std::vector<std::string>& values = where[axis.name];
    if (!values.empty()) value.Fail("axis " + axis.name + " is given twice");
    if (!value.is_list()) {
      values.push_back(ReadGridValue(name, value, spec));
    } else {
      for (const YamlReader& item : value.Items(axis.example)) {
        values.push_back(ReadGridValue(name, item, spec));
      }
    }
  }
  if (where.empty()) reader.Fail("no axis is given, such as {ranks: [2]}");
  return where;
}

std::vector<Claim> ReadClaims(const YamlReader& reader, const ExperimentSpec& spec) {
  std::vector<Claim> claims;
  std::set<std::string> names;
  for (const YamlReader& item : reader.Items("[{claim: ..., over: variant, order: [...]}]")) {
    claims.push_back(ReadClaim(item, spec));
    if (!names.insert(claims.back().name).second)
      item.Fail("two claims are called '" + claims.back().name + "'");
  }
  return claims;
}

nlohmann::json ClaimsToJson(const std::vector<Claim>& claims) {
  nlohmann::json list = nlohmann::json::array();
  for (const Claim& claim : claims) {
    nlohmann::json entry = {{"claim", claim.name}, {"metric", claim.metric}, {"over", claim.over}};
    for (const std::string& value : claim.order) entry["order"].push_back(ValueToJson(claim.over, value));
    if (claim.ratio) {
      entry["ratio"] = {{"slow", ValueToJson(claim.over, claim.ratio->slow)},
                        {"fast", ValueToJson(claim.over, claim.ratio->fast)}};
      if (claim.ratio->minimum) entry["ratio"]["min"] = *claim.ratio->minimum;
      if (claim.ratio->maximum) entry["ratio"]["max"] = *claim.ratio->maximum;
    }
    entry["where"] = nlohmann::json::object();
    for (const auto& [axis, values] : claim.where) {
      for (const std::string& value : values) entry["where"][axis].push_back(ValueToJson(axis, value));
    }
    if (!claim.regime.empty()) entry["regime"] = claim.regime;
    list.push_back(entry);
  }
  return list;
}

}  // namespace attention
