#include "src/experiment/plan/plan.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <set>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>

#include "src/base/aligned_buffer.h"
#include "src/base/error.h"
#include "src/experiment/ask/axes.h"
#include "src/experiment/ask/yaml_reader.h"
#include "src/experiment/plan/case_cost.h"
#include "src/experiment/plan/memory_cost.h"
#include "src/qwen3/decoder/decoder_step.h"

namespace attention {
namespace {

constexpr size_t kMaximumCases = 1000000;

using Point = std::map<std::string, AxisValue>;

// FNV-1a, 64 bits: stable across machines and runs, and short enough to read aloud.
std::string ShortHash(const std::string& text) {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001B3ull;
  char digits[17];
  std::snprintf(digits, sizeof(digits), "%010llx", static_cast<unsigned long long>(hash & 0xFFFFFFFFFFull));
  return digits;
}

// What the decoder scopes cannot do.
void CheckDecoderCell(const Cell& cell, const Point& point) {
  if (cell.scope == Scope::kAttention) return;
  const auto refuse = [&](const char* axis, const auto&... parts) {
    FailUsage(point.at(axis).where, ": scope ", Name(cell.scope), " ", parts...);
  };
  if (cell.contract != Contract::kNative) refuse("contract", "has its own ends; valid contract: native");
  if (cell.model.hidden_size == 0) {
    refuse("model", "needs a whole model's shape, not heads alone; --list shows the models");
  }
  if (cell.scope == Scope::kModel && cell.problem.mask != Mask::Causal()) {
    refuse("mask", "is causal; valid mask: causal");
  }
  if (cell.scope == Scope::kModel && cell.phase == Phase::kDecode && cell.seq_len < 2) {
    refuse("seq_len", "decodes after a prompt; at least 2 tokens are needed");
  }
  if (cell.data != InputDataKind::kGaussian) refuse("data", "makes its own q and k; valid data: gaussian");
}

using AxisSet = std::set<std::string>;  // names

// All that fixes the numbers of a cell, as text: seed, ISA and heads, then the axes by name, without those
// of `left_out`.
std::string IdFactors(const Cell& cell, const Point& point, const AxisSet& left_out) {
  std::string factors = internal::Concatenate("seed=", cell.seed, ";");
  if (left_out.count("isa") == 0) factors += internal::Concatenate("isa=", Name(cell.isa), ";");
  if (left_out.count("model") == 0) {
    factors += internal::Concatenate("heads=", cell.model.query_heads, ";kv_heads=", cell.model.kv_heads,
                                     ";head_dim=", cell.model.head_dim, ";");
  }
  if (cell.weights != nullptr) factors += "weights=" + cell.weights->fingerprint + ";";
  std::map<std::string, std::string> by_name;
  for (const Axis& axis : Axes()) {
    if (axis.set == nullptr || !axis.in_id || left_out.count(axis.name) > 0) continue;
    const std::string& value = point.at(axis.name).text;
    if (value != axis.default_value || axis.default_in_id) by_name.insert(IdFactor(axis, value));
  }
  for (const auto& [name, value] : by_name) factors += name + "=" + value + ";";
  return factors;
}

// Axes of the grid over which claims compare cells with each other.
AxisSet ComparedAxes(const ExperimentSpec& spec) {
  AxisSet names;
  for (const Claim& claim : spec.claims) {
    const Axis* axis = FindAxis(claim.over);
    if (axis != nullptr && axis->set != nullptr) names.insert(axis->name);
  }
  return names;
}

Cell MakeCell(const Point& point, const ExperimentSpec& spec, const PlanOptions& options,
              const AxisSet& compared) {
  Cell cell;
  const AxisContext context = {spec.models, options.best_isa};
  for (const Axis& axis : Axes()) {
    if (axis.set != nullptr) axis.set(point.at(axis.name).text, context, cell);
  }
  cell.seed = spec.measure.seed;
  cell.weights = spec.weights;
  cell.where = point.at("ranks").where;
  // Said, because of one token nothing else tells a decode from a prefill.
  cell.problem.phase = cell.phase;
  cell.problem.query_tokens = cell.phase == Phase::kDecode ? 1 : cell.seq_len;
  cell.problem.kv_tokens = cell.seq_len;
  const std::string wrong_mask = cell.problem.mask.WhyInvalid(cell.seq_len);
  if (!wrong_mask.empty()) FailUsage(point.at("mask").where, ": ", wrong_mask);
  cell.id = ShortHash(IdFactors(cell, point, {}));
  if (!compared.empty()) cell.bundle = ShortHash(IdFactors(cell, point, compared));
  CheckDecoderCell(cell, point);
  return cell;
}

// Tile sizes of the grid's own axes go into the variant and, unless auto, into its label.
Case MakeCase(const Cell& cell, const VariantSpec& variant_spec, const Point& tiles) {
  Case made;
  made.label = variant_spec.label;
  made.variant = ResolveVariant(variant_spec, cell.contract, cell.phase, cell.problem.mask);
  if (cell.scope != Scope::kAttention) made.variant = VariantInsideDecoder(made.variant, cell.phase);
  const std::string& q = tiles.at("q_block").text;
  const std::string& kv = tiles.at("kv_block").text;
  std::string suffix;
  if (q != "auto") suffix += "q=" + q;
  if (kv != "auto") suffix += (suffix.empty() ? "" : ",") + ("kv=" + kv);
  if (!suffix.empty()) {
    if (variant_spec.tiles != TileSizes{}) {
      FailUsage(tiles.at("q_block").where, ": variant '", variant_spec.label,
                "' has tile sizes of its own; leave either them or the axes q_block and kv_block out");
    }
    if (q != "auto") made.variant.tiles.q_block = *ParseInteger(q);
    if (kv != "auto") made.variant.tiles.kv_block = *ParseInteger(kv);
    made.label += "[" + suffix + "]";
  }
  made.id = cell.id + "/" + made.label;
  return made;
}

// What can be wrong with a case; "" if nothing is.
std::string WhyInvalid(const Cell& cell, const Variant& variant) {
  const Grid& grid = variant.grid;
  const std::string reason = WhyInvalid(variant, cell.contract, cell.phase);
  if (!reason.empty()) return reason + " (--list shows the valid combinations)";
  if (!grid.is_set()) return "";
  if (cell.scope != Scope::kAttention) {
    return internal::Concatenate("scope ", Name(cell.scope), " has no grid; valid scope: attention");
  }
  if (int64_t{grid.headwise} * grid.sequence == cell.ranks) return "";
  return internal::Concatenate("grid ", grid.headwise, "x", grid.sequence, " does not have ", cell.ranks,
                               " ranks; give it ranks ", int64_t{grid.headwise} * grid.sequence,
                               " or exclude it elsewhere");
}

// The entries of `exclude`, found by one of their values: a point is compared only with those that name a
// value of its own.
class ExcludeIndex {
 public:
  explicit ExcludeIndex(const ExperimentSpec& spec) {
    for (const auto& listed : spec.exclude) {
      Entry& entry = entries_.emplace_back();
      for (const auto& [axis, values] : listed) entry.values[axis].insert(values.begin(), values.end());
      // The axis that tells most entries apart.
      const auto key = std::min_element(listed.begin(), listed.end(), [&](const auto& a, const auto& b) {
        return Share(spec, a) < Share(spec, b);
      });
      for (const std::string& value : key->second)
        by_value_[key->first][value].push_back(entries_.size() - 1);
    }
  }

  // A cell's hash does not hold its cases, so a cell is excluded as a whole or loses single variants.
  bool Excludes(const Point& point, const std::string* variant) const {
    for (const auto& [axis, by_value] : by_value_) {
      const bool is_variant = axis == "variant" && variant != nullptr;
      const auto found = by_value.find(is_variant ? *variant : point.at(axis).text);
      if (found == by_value.end()) continue;
      for (size_t index : found->second) {
        if (Matches(entries_[index], point, variant)) return true;
      }
    }
    return false;
  }

 private:
  struct Entry {
    std::map<std::string, std::unordered_set<std::string>> values;  // by axis
  };

  // Of the axis' values that the entry names.
  static double Share(const ExperimentSpec& spec,
                      const std::pair<const std::string, std::vector<std::string>>& listed) {
    return static_cast<double>(listed.second.size()) / static_cast<double>(spec.axes.at(listed.first).size());
  }
  static bool Matches(const Entry& entry, const Point& point, const std::string* variant) {
    if ((entry.values.count("variant") > 0) != (variant != nullptr)) return false;
    return std::all_of(entry.values.begin(), entry.values.end(), [&](const auto& named) {
      const bool is_variant = named.first == "variant" && variant != nullptr;
      return named.second.count(is_variant ? *variant : point.at(named.first).text) > 0;
    });
  }

  std::vector<Entry> entries_;
  // By axis and value.
  std::map<std::string, std::unordered_map<std::string, std::vector<size_t>>> by_value_;
};

void AddCases(Cell& cell, const Point& point, const ExperimentSpec& spec, const ExcludeIndex& excludes) {
  for (const AxisValue& variant : spec.axes.at("variant")) {
    if (excludes.Excludes(point, &variant.text)) continue;
    const VariantSpec& variant_spec = spec.variants.at(variant.text);
    for (const AxisValue& q_block : spec.axes.at("q_block")) {
      for (const AxisValue& kv_block : spec.axes.at("kv_block")) {
        Case made = MakeCase(cell, variant_spec, {{"q_block", q_block}, {"kv_block", kv_block}});
        const std::string reason = WhyInvalid(cell, made.variant);
        if (!reason.empty()) FailUsage(variant.where, ": ", reason);
        cell.cases.push_back(made);
      }
    }
  }
}

// A cell alone is no bundle.
void DropSingleBundles(Plan& plan) {
  std::unordered_map<std::string, int> sizes;
  for (const Cell& cell : plan.cells) ++sizes[cell.bundle];
  for (Cell& cell : plan.cells) {
    if (sizes[cell.bundle] == 1) cell.bundle.clear();
  }
}

// Adds the copies that the control asks for: in every so many of the cells that hold the variant. On one rank
// nothing is exchanged, so where there are cells of several ranks the copies are in those.
void AddCopies(const ExperimentSpec& spec, Plan& plan) {
  if (!spec.control) return;
  const std::string& label = spec.control->duplicate;
  int64_t number = 0;
  for (Cell& cell : plan.cells) {
    if (plan.max_ranks > 1 && cell.ranks == 1) continue;
    const auto original = std::find_if(cell.cases.begin(), cell.cases.end(),
                                       [&](const Case& made) { return made.label == label; });
    if (original == cell.cases.end() || number++ % spec.control->every != 0) continue;
    Case copy = *original;
    copy.duplicate_of = label;
    copy.label += " (copy)";
    copy.id = cell.id + "/" + copy.label;
    cell.cases.push_back(copy);
    EstimateCosts(cell, spec.measure);
    EstimateMemory(cell, spec);
  }
  if (number == 0) FailUsage("control.duplicate: no cell of several ranks holds '", label, "'");
}

void ForEachPoint(const ExperimentSpec& spec, const std::function<void(const Point&)>& visit) {
  std::vector<const Axis*> axes;
  Point point;
  for (const Axis& axis : Axes()) {
    // The axes that are inside a cell still need a value for `exclude` to look at.
    if (axis.set == nullptr) {
      point[axis.name] = spec.axes.at(axis.name).front();
    } else {
      axes.push_back(&axis);
    }
  }
  const std::function<void(size_t)> descend = [&](size_t depth) {
    if (depth == axes.size()) {
      visit(point);
      return;
    }
    for (const AxisValue& value : spec.axes.at(axes[depth]->name)) {
      point[axes[depth]->name] = value;
      descend(depth + 1);
    }
  };
  descend(0);
}

}  // namespace

double Plan::seconds_estimate() const {
  double seconds = 0;
  for (const Cell& cell : cells) seconds += cell.seconds_estimate;
  return seconds;
}

size_t Plan::case_count() const {
  size_t count = 0;
  for (const Cell& cell : cells) count += cell.cases.size();
  return count;
}

// Else a growing list of cells would copy them all.
static_assert(std::is_nothrow_move_constructible_v<Cell>);

Plan MakePlan(const ExperimentSpec& spec, const PlanOptions& options) {
  double points = 1;
  for (const Axis& axis : Axes()) points *= static_cast<double>(spec.axes.at(axis.name).size());
  if (points > kMaximumCases) {
    FailUsage("grid: ", points, " cases are too many, allowed are ", kMaximumCases, "; shorten some axes");
  }
  Plan plan;
  const ExcludeIndex excludes(spec);
  const AxisSet compared = ComparedAxes(spec);
  std::unordered_set<std::string> ids;
  ForEachPoint(spec, [&](const Point& point) {
    if (excludes.Excludes(point, nullptr)) return;
    Cell cell = MakeCell(point, spec, options, compared);
    // isa: [auto, avx512] may name the same cell twice.
    if (!ids.insert(cell.id).second) return;
    AddCases(cell, point, spec, excludes);
    if (cell.cases.empty()) return;
    EstimateCosts(cell, spec.measure);
    EstimateMemory(cell, spec);
    plan.max_ranks = std::max(plan.max_ranks, cell.ranks);
    plan.cells.push_back(std::move(cell));
  });
  if (plan.cells.empty()) FailUsage("exclude: it leaves out every point of the grid");
  DropSingleBundles(plan);
  AddCopies(spec, plan);
  return plan;
}

}  // namespace attention
