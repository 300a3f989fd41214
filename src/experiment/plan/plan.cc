#include "src/experiment/plan/plan.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <set>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "src/attention/attention_backend.h"
#include "src/base/aligned_buffer.h"
#include "src/base/error.h"
#include "src/experiment/ask/axes.h"
#include "src/experiment/ask/yaml_reader.h"
#include "src/experiment/plan/case_cost.h"
#include "src/experiment/plan/memory_cost.h"
#include "src/parallel/choose/choose.h"
#include "src/qwen3/decoder/decoder_step.h"

namespace attention {
namespace {

constexpr size_t kMaximumCases = 1000000;

// Position of an axis in Axes().
size_t IndexOf(const Axis& axis) { return static_cast<size_t>(&axis - Axes().data()); }
size_t IndexOf(std::string_view name) {
  const Axis* axis = FindAxis(name);
  Require(axis != nullptr, "there is no axis ", name);
  return IndexOf(*axis);
}

// One value of every axis. There may be a million points, so a point only says where its values stand.
class Point {
 public:
  explicit Point(const ExperimentSpec& spec) : chosen_(Axes().size(), 0) {
    for (const Axis& axis : Axes()) values_.push_back(&spec.axes.at(axis.name));
  }
  const AxisValue& operator[](size_t axis) const { return (*values_[axis])[chosen_[axis]]; }
  const AxisValue& operator[](std::string_view name) const { return (*this)[IndexOf(name)]; }
  size_t chosen(size_t axis) const { return chosen_[axis]; }
  size_t choices(size_t axis) const { return values_[axis]->size(); }
  void Choose(size_t axis, size_t value) { chosen_[axis] = value; }

 private:
  std::vector<const std::vector<AxisValue>*> values_;  // by axis
  std::vector<size_t> chosen_;                         // by axis
};

// FNV-1a, 64 bits: stable across machines and runs.
uint64_t Hash(const std::string& text) {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001B3ull;
  return hash;
}

// 40 of its bits: short enough to read aloud.
std::string ShortHash(uint64_t hash) {
  char digits[17];
  std::snprintf(digits, sizeof(digits), "%010llx", static_cast<unsigned long long>(hash & 0xFFFFFFFFFFull));
  return digits;
}

// What the decoder scopes cannot do, and what only they can.
void CheckDecoderCell(const Cell& cell, const Point& point) {
  if (cell.scope == Scope::kAttention) {
    for (const Axis& axis : Axes()) {
      const AxisValue& value = point[IndexOf(axis)];
      if (!axis.of_decoders || value.text == axis.default_value) continue;
      FailUsage(value.where, ": scope attention has no ", axis.name, "; its type is the axis dtype");
    }
    return;
  }
  if (cell.precision.activations == DataType::kBfloat16 && cell.problem.data_type != DataType::kBfloat16) {
    FailUsage(point["activations"].where, ": bf16 activations are for bf16 weights; valid dtype: bf16");
  }
  const auto refuse = [&](const char* axis, const auto&... parts) {
    FailUsage(point[axis].where, ": scope ", Name(cell.scope), " ", parts...);
  };
  if (cell.cached_tokens > 0) refuse("cached_tokens", "begins with the sequence; valid cached_tokens: 0");
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

// What reads int8 while decoding takes few rows at a time and carries a state. A model can decode whatever is
// measured of it.
void CheckInt8Cache(const Cell& cell, const Point& point) {
  if (cell.precision.kv_cache != DataType::kInt8) return;
  if (cell.phase != Phase::kDecode && cell.scope != Scope::kModel) return;
  const std::string& where = point["kv_cache"].where;
  const int64_t group = cell.problem.group_size();
  if (group > kMostInt8Columns) {
    FailUsage(where, ": int8 is for at most ", kMostInt8Columns, " query heads per KV head, ",
              cell.model.name, " has ", group, "; valid kv_cache: fp32, bf16");
  }
  for (const Case& made : cell.cases) {
    const AttentionAlgorithm algorithm = VariantInsideDecoder(made.variant, Phase::kDecode).algorithm;
    if (algorithm == AttentionAlgorithm::kOnlineSoftmax) continue;
    FailUsage(where, ": ", Name(algorithm), " does not read int8; valid kv_cache of ", made.label,
              ": fp32, bf16");
  }
}

using AxisSet = std::set<std::string>;  // names

// All that fixes the numbers of a cell, as text: seed, ISA and heads, then the axes by name, without those of
// `left_out`. What axes say is put together once for a plan, which may have a million cells.
class IdFactors {
 public:
  IdFactors(const ExperimentSpec& spec, const AxisSet& left_out)
      : has_isa_(left_out.count("isa") == 0), has_model_(left_out.count("model") == 0) {
    for (const Axis& axis : Axes()) {
      const bool counts = axis.set != nullptr && axis.in_id && left_out.count(axis.name) == 0;
      std::vector<Factor>& factors = by_value_.emplace_back();
      for (const AxisValue& value : spec.axes.at(axis.name)) {
        Factor& factor = factors.emplace_back();
        if (!counts || (value.text == axis.default_value && !axis.default_in_id)) continue;
        const auto [name, text] = IdFactor(axis, value.text);
        factor = {name, name + "=" + text + ";"};
      }
    }
  }

  std::string Of(const Cell& cell, const Point& point) const {
    std::string text = "seed=" + std::to_string(cell.seed) + ";";
    if (has_isa_) text.append("isa=").append(Name(cell.isa)).append(";");
    if (has_model_) {
      text += "heads=" + std::to_string(cell.model.query_heads) +
              ";kv_heads=" + std::to_string(cell.model.kv_heads) +
              ";head_dim=" + std::to_string(cell.model.head_dim) + ";";
    }
    if (cell.weights != nullptr) text += "weights=" + cell.weights->fingerprint + ";";
    std::vector<const Factor*> factors;
    factors.reserve(by_value_.size());
    for (size_t axis = 0; axis < by_value_.size(); ++axis) {
      const Factor& factor = by_value_[axis][point.chosen(axis)];
      if (!factor.text.empty()) factors.push_back(&factor);
    }
    std::ranges::sort(factors, {}, &Factor::name);
    for (const Factor* factor : factors) text += factor->text;
    return text;
  }

 private:
  struct Factor {
    std::string name;
    std::string text;  // "name=value;"; "" where the id holds nothing of it
  };

  bool has_isa_, has_model_;
  std::vector<std::vector<Factor>> by_value_;  // by axis and value
};

// Axes of the grid over which claims compare cells with each other.
AxisSet ComparedAxes(const ExperimentSpec& spec) {
  AxisSet names;
  for (const Claim& claim : spec.claims) {
    const Axis* axis = FindAxis(claim.over);
    if (axis != nullptr && axis->set != nullptr) names.insert(axis->name);
  }
  return names;
}

// Sets all but the id and the cases.
Cell MakeCell(const Point& point, const ExperimentSpec& spec, const PlanOptions& options) {
  Cell cell;
  const AxisContext context = {spec.models, options.best_isa};
  for (const Axis& axis : Axes()) {
    if (axis.set != nullptr) axis.set(point[IndexOf(axis)].text, context, cell);
  }
  cell.seed = spec.measure.seed;
  cell.weights = spec.weights;
  cell.where = point["ranks"].where;
  // Said, because of one token nothing else tells a decode from a prefill.
  cell.problem.phase = cell.phase;
  cell.problem.query_tokens = cell.phase == Phase::kDecode ? 1 : cell.seq_len;
  cell.problem.kv_tokens = cell.cached_tokens + cell.seq_len;
  if (cell.phase == Phase::kDecode && cell.cached_tokens > 0) {
    FailUsage(point["cached_tokens"].where,
              ": a decode's are all of its seq_len keys but one; valid cached_tokens: 0");
  }
  const std::string wrong_mask = cell.problem.mask.WhyInvalid(cell.problem.kv_tokens);
  if (!wrong_mask.empty()) FailUsage(point["mask"].where, ": ", wrong_mask);
  return cell;
}

// Tile sizes of the grid's own axes go into the variant and, unless auto, into its label.
Case MakeCase(const Cell& cell, const VariantSpec& variant_spec, const AxisValue& q_block,
              const AxisValue& kv_block) {
  Case made;
  made.label = variant_spec.label;
  made.is_auto = variant_spec.is_auto;
  made.variant = made.is_auto ? Candidates(variant_spec.algorithm, cell.contract, cell.phase).front()
                              : ResolveVariant(variant_spec, cell.contract, cell.phase, cell.problem.mask);
  if (made.is_auto) made.variant.tiles = variant_spec.tiles;
  if (cell.scope != Scope::kAttention) made.variant = VariantInsideDecoder(made.variant, cell.phase);
  const std::string& q = q_block.text;
  const std::string& kv = kv_block.text;
  std::string suffix;
  if (q != "auto") suffix += "q=" + q;
  if (kv != "auto") suffix += (suffix.empty() ? "" : ",") + ("kv=" + kv);
  if (!suffix.empty()) {
    if (variant_spec.tiles != TileSizes{}) {
      FailUsage(q_block.where, ": variant '", variant_spec.label,
                "' has tile sizes of its own; leave either them or the axes q_block and kv_block out");
    }
    if (q != "auto") made.variant.tiles.q_block = *ParseInteger(q);
    if (kv != "auto") made.variant.tiles.kv_block = *ParseInteger(kv);
    made.label += "[" + suffix + "]";
  }
  made.id = cell.id + "/" + made.label;
  return made;
}

// What keeps a variant from being chosen automatically; "" if nothing does.
std::string WhyNotAuto(const Cell& cell, AttentionAlgorithm algorithm) {
  if (cell.scope != Scope::kAttention) {
    return internal::Concatenate("scope ", Name(cell.scope),
                                 " has no auto, which prices attention alone; name a strategy");
  }
  if (cell.ranks > kMostRanksPriced) {
    return internal::Concatenate("auto prices at most ", kMostRanksPriced, " ranks, not ", cell.ranks,
                                 "; name a strategy");
  }
  try {
    Candidates(algorithm, cell.contract, cell.phase);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// What can be wrong with a case; "" if nothing is.
std::string WhyInvalid(const Cell& cell, const Variant& variant) {
  const Grid& grid = variant.grid;
  const std::string reason = WhyInvalid(variant, cell.contract, cell.phase);
  if (!reason.empty()) return reason + " (--list shows the valid combinations)";
  if (cell.cached_tokens > 0 && variant.sharding == Sharding::kBalanced) {
    return internal::Concatenate("sharding balanced deals a sequence that begins here; behind ",
                                 cell.cached_tokens, " cached tokens name contiguous or zigzag");
  }
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
  explicit ExcludeIndex(const ExperimentSpec& spec) : variant_axis_(IndexOf("variant")) {
    for (const Axis& axis : Axes()) by_value_.emplace_back(spec.axes.at(axis.name).size());
    std::vector<Places> places(Axes().size());
    for (const auto& listed : spec.exclude) AddEntry(listed, spec, places);
  }

  // A cell's hash does not hold its cases, so a cell is excluded as a whole (variant == nullptr: by entries
  // that name none) or loses single variants.
  bool Excludes(const Point& point, const size_t* variant) const {
    for (size_t axis : key_axes_) {
      const size_t value = variant != nullptr && axis == variant_axis_ ? *variant : point.chosen(axis);
      for (size_t entry : by_value_[axis][value]) {
        if (Matches(entries_[entry], point, variant)) return true;
      }
    }
    return false;
  }

 private:
  using Places = std::unordered_map<std::string, size_t>;  // of an axis' values, by text
  struct Named {
    size_t axis;
    std::vector<size_t> values;  // sorted
  };
  using Entry = std::vector<Named>;

  void AddEntry(const std::map<std::string, std::vector<std::string>>& listed, const ExperimentSpec& spec,
                std::vector<Places>& places) {
    Entry entry;
    size_t key = 0;  // the axis that tells most entries apart
    double least = 2;
    for (const auto& [name, texts] : listed) {
      const std::vector<AxisValue>& values = spec.axes.at(name);
      Named& named = entry.emplace_back(Named{IndexOf(name), {}});
      Places& known = places[named.axis];
      if (known.empty()) {
        for (size_t value = 0; value < values.size(); ++value) known.emplace(values[value].text, value);
      }
      for (const std::string& text : texts) named.values.push_back(known.at(text));
      std::sort(named.values.begin(), named.values.end());
      const double share = static_cast<double>(texts.size()) / static_cast<double>(values.size());
      if (share < least) {
        least = share;
        key = entry.size() - 1;
      }
    }
    const auto& [key_axis, key_values] = entry.at(key);  // an entry without keys has not been read
    for (size_t value : key_values) by_value_[key_axis][value].push_back(entries_.size());
    if (std::find(key_axes_.begin(), key_axes_.end(), key_axis) == key_axes_.end()) {
      key_axes_.push_back(key_axis);
    }
    entries_.push_back(std::move(entry));
  }

  bool Matches(const Entry& entry, const Point& point, const size_t* variant) const {
    bool names_variant = false;
    for (const Named& named : entry) {
      const bool is_variant = named.axis == variant_axis_;
      names_variant |= is_variant;
      const size_t value = is_variant && variant != nullptr ? *variant : point.chosen(named.axis);
      if (!std::binary_search(named.values.begin(), named.values.end(), value)) return false;
    }
    return names_variant == (variant != nullptr);
  }

  size_t variant_axis_;
  std::vector<Entry> entries_;
  std::vector<size_t> key_axes_;
  std::vector<std::vector<std::vector<size_t>>> by_value_;  // entries by axis and value
};

void AddCases(Cell& cell, const Point& point, const ExperimentSpec& spec, const ExcludeIndex& excludes) {
  const std::vector<AxisValue>& variants = spec.axes.at("variant");
  for (size_t index = 0; index < variants.size(); ++index) {
    if (excludes.Excludes(point, &index)) continue;
    const AxisValue& variant = variants[index];
    const VariantSpec& variant_spec = spec.variants.at(variant.text);
    if (variant_spec.is_auto) {
      const std::string reason = WhyNotAuto(cell, variant_spec.algorithm);
      if (!reason.empty()) FailUsage(variant.where, ": ", reason);
    }
    for (const AxisValue& q_block : spec.axes.at("q_block")) {
      for (const AxisValue& kv_block : spec.axes.at("kv_block")) {
        Case made = MakeCase(cell, variant_spec, q_block, kv_block);
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
  Point point(spec);
  const std::function<void(size_t)> descend = [&](size_t axis) {
    if (axis == Axes().size()) {
      visit(point);
      return;
    }
    // The axes inside a cell stay at their first value: `exclude` looks at all axes.
    const size_t choices = Axes()[axis].set == nullptr ? 1 : point.choices(axis);
    for (size_t value = 0; value < choices; ++value) {
      point.Choose(axis, value);
      descend(axis + 1);
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

bool Plan::has_automatic_cases() const {
  return std::any_of(cells.begin(), cells.end(), [](const Cell& cell) {
    return std::any_of(cell.cases.begin(), cell.cases.end(), [](const Case& made) { return made.is_auto; });
  });
}

// Else a growing list of cells would copy them all.
static_assert(std::is_nothrow_move_constructible_v<Cell>);

Plan MakePlan(const ExperimentSpec& spec, const PlanOptions& options) {
  double points = 1;
  double cells = 1;
  for (const Axis& axis : Axes()) {
    const auto choices = static_cast<double>(spec.axes.at(axis.name).size());
    points *= choices;
    if (axis.set != nullptr) cells *= choices;
  }
  if (points > kMaximumCases) {
    FailUsage("grid: ", points, " cases are too many, allowed are ", kMaximumCases, "; shorten some axes");
  }
  Plan plan;
  plan.cells.reserve(static_cast<size_t>(cells));
  const ExcludeIndex excludes(spec);
  const AxisSet compared = ComparedAxes(spec);
  const IdFactors all_factors(spec, {}), bundle_factors(spec, compared);
  std::unordered_map<std::string, uint64_t> hashes;  // by id
  hashes.reserve(static_cast<size_t>(cells));
  ForEachPoint(spec, [&](const Point& point) {
    if (excludes.Excludes(point, nullptr)) return;
    Cell cell = MakeCell(point, spec, options);
    const uint64_t hash = Hash(all_factors.Of(cell, point));
    cell.id = ShortHash(hash);
    if (!compared.empty()) cell.bundle = ShortHash(Hash(bundle_factors.Of(cell, point)));
    // isa: [auto, avx512] may name the same cell twice.
    const auto [known, is_new] = hashes.emplace(cell.id, hash);
    if (known->second != hash)
      FailUsage("grid: two cells have the id ", cell.id, "; another seed gives others");
    if (!is_new) return;
    CheckDecoderCell(cell, point);
    AddCases(cell, point, spec, excludes);
    if (cell.cases.empty()) return;
    CheckInt8Cache(cell, point);
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
