#include "src/parallel/strategy/strategy.h"

#include <initializer_list>

#include "src/base/error.h"

namespace attention {
namespace {

constexpr ParallelStrategy kStrategies[] = {ParallelStrategy::kHeadwise, ParallelStrategy::kSequence};
constexpr Exchange kExchanges[] = {Exchange::kNone, Exchange::kAllgather, Exchange::kAllToAll,
                                   Exchange::kRing, Exchange::kMerge};
constexpr Sharding kShardings[] = {Sharding::kContiguous, Sharding::kZigzag};
constexpr Contract kContracts[] = {Contract::kNative, Contract::kReplicated, Contract::kTokenSharded};
constexpr Phase kPhases[] = {Phase::kPrefill, Phase::kDecode};

template <typename Enum, size_t count>
std::optional<Enum> Parse(const Enum (&values)[count], std::string_view name) {
  for (Enum value : values) {
    if (Name(value) == name) return value;
  }
  return std::nullopt;
}

// One line of the table in strategy.h.
struct Row {
  Phase phase;
  ParallelStrategy strategy;
  Exchange exchange;
  bool native, token_sharded, replicated;
  bool zigzag;
  bool needs_state;
};

constexpr Row kTable[] = {
    {Phase::kPrefill, ParallelStrategy::kHeadwise, Exchange::kNone, true, false, false, false, false},
    {Phase::kPrefill, ParallelStrategy::kHeadwise, Exchange::kAllgather, true, false, true, false, false},
    {Phase::kPrefill, ParallelStrategy::kHeadwise, Exchange::kAllToAll, false, true, false, true, false},
    {Phase::kPrefill, ParallelStrategy::kSequence, Exchange::kAllgather, true, true, true, true, false},
    {Phase::kPrefill, ParallelStrategy::kSequence, Exchange::kRing, true, true, false, true, true},
    {Phase::kPrefill, ParallelStrategy::kSequence, Exchange::kMerge, true, true, false, true, true},
    {Phase::kDecode, ParallelStrategy::kHeadwise, Exchange::kNone, true, false, false, false, false},
    {Phase::kDecode, ParallelStrategy::kHeadwise, Exchange::kAllgather, true, false, true, false, false},
    {Phase::kDecode, ParallelStrategy::kSequence, Exchange::kMerge, true, false, true, false, true},
};

bool Allows(const Row& row, Contract contract) {
  switch (contract) {
    case Contract::kNative:
      return row.native;
    case Contract::kTokenSharded:
      return row.token_sharded;
    case Contract::kReplicated:
      return row.replicated;
  }
  return false;
}

std::string ShortName(const Row& row) {
  return std::string(Name(row.strategy)) + "(" + std::string(Name(row.exchange)) + ")";
}

// Names of the rows that `matches` accepts, comma-separated; "none" without any.
template <typename Predicate>
std::string RowsWhere(Predicate matches) {
  std::string names;
  for (const Row& row : kTable) {
    if (matches(row)) names += (names.empty() ? "" : ", ") + ShortName(row);
  }
  return names.empty() ? "none" : names;
}

std::string ContractsOf(const Row& row) {
  std::string names;
  for (Contract contract : kContracts) {
    if (Allows(row, contract)) names += (names.empty() ? "" : ", ") + std::string(Name(contract));
  }
  return names;
}

const Row* FindRow(const Variant& variant, Phase phase) {
  for (const Row& row : kTable) {
    if (row.phase == phase && row.strategy == variant.strategy && row.exchange == variant.exchange)
      return &row;
  }
  return nullptr;
}

}  // namespace

std::string_view Name(Exchange exchange) {
  switch (exchange) {
    case Exchange::kNone:
      return "none";
    case Exchange::kAllgather:
      return "allgather";
    case Exchange::kAllToAll:
      return "all_to_all";
    case Exchange::kRing:
      return "ring";
    case Exchange::kMerge:
      return "merge";
  }
  return "?";
}

std::string_view Name(Sharding sharding) {
  return sharding == Sharding::kContiguous ? "contiguous" : "zigzag";
}

std::string_view Name(Contract contract) {
  switch (contract) {
    case Contract::kNative:
      return "native";
    case Contract::kReplicated:
      return "replicated";
    case Contract::kTokenSharded:
      return "token_sharded";
  }
  return "?";
}

std::string_view Name(Phase phase) { return phase == Phase::kPrefill ? "prefill" : "decode"; }

std::optional<ParallelStrategy> ParseStrategy(std::string_view name) { return Parse(kStrategies, name); }
std::optional<Exchange> ParseExchange(std::string_view name) { return Parse(kExchanges, name); }
std::optional<Sharding> ParseSharding(std::string_view name) { return Parse(kShardings, name); }
std::optional<Contract> ParseContract(std::string_view name) { return Parse(kContracts, name); }
std::optional<Phase> ParsePhase(std::string_view name) { return Parse(kPhases, name); }

std::string Name(const Variant& variant) {
  using internal::Concatenate;
  std::string name =
      Concatenate(Name(variant.strategy), "(", Name(variant.exchange), ",", Name(variant.sharding));
  if (variant.grid.is_set()) {
    name += Concatenate(",grid=", variant.grid.headwise, "x", variant.grid.sequence);
  }
  name += Concatenate(")+", Name(variant.algorithm));
  const TileSizes& tiles = variant.tiles;
  const auto size = [](int64_t tile) { return tile == 0 ? std::string("auto") : std::to_string(tile); };
  if (tiles != TileSizes()) name += "[q=" + size(tiles.q_block) + ",kv=" + size(tiles.kv_block) + "]";
  return name;
}

Exchange DefaultExchange(ParallelStrategy strategy, AttentionAlgorithm algorithm, Contract contract,
                         Phase phase) {
  if (strategy == ParallelStrategy::kHeadwise) {
    return contract == Contract::kTokenSharded ? Exchange::kAllToAll : Exchange::kAllgather;
  }
  if (!RowOf(algorithm).carries_state) return Exchange::kAllgather;
  if (phase == Phase::kDecode) return Exchange::kMerge;
  return contract == Contract::kReplicated ? Exchange::kAllgather : Exchange::kRing;
}

Sharding DefaultSharding(ParallelStrategy strategy, Phase phase, const Mask& mask) {
  const bool balances = strategy == ParallelStrategy::kSequence && phase == Phase::kPrefill && mask.grows();
  return balances ? Sharding::kZigzag : Sharding::kContiguous;
}

std::string WhyInvalid(const Variant& variant, Contract contract, Phase phase) {
  using internal::Concatenate;
  const std::string pair = Concatenate(Name(variant.strategy), "(", Name(variant.exchange), ")");
  const Row* row = FindRow(variant, phase);
  if (row == nullptr) {
    const std::string valid =
        RowsWhere([&](const Row& r) { return r.phase == phase && r.strategy == variant.strategy; });
    return Concatenate(pair, " does not exist in ", Name(phase), "; valid: ", valid);
  }
  if (row->needs_state && !RowOf(variant.algorithm).carries_state) {
    const std::string valid =
        RowsWhere([&](const Row& r) { return r.phase == phase && !r.needs_state && Allows(r, contract); });
    return Concatenate(pair, " merges running softmax states, which only online_softmax has; valid with ",
                       Name(variant.algorithm), " under contract ", Name(contract), ": ", valid);
  }
  if (!Allows(*row, contract)) {
    const std::string valid =
        RowsWhere([&](const Row& r) { return r.phase == phase && Allows(r, contract); });
    return Concatenate(pair, " is not possible under contract ", Name(contract), " in ", Name(phase),
                       "; valid contracts for it: ", ContractsOf(*row), "; valid under ", Name(contract),
                       ": ", valid);
  }
  if (variant.sharding == Sharding::kZigzag && !row->zigzag) {
    return Concatenate(pair, " deals no tokens of causal prefill, so zigzag means nothing in ", Name(phase),
                       "; valid sharding: contiguous");
  }
  const Grid& grid = variant.grid;
  if (grid.is_set() &&
      (variant.strategy != ParallelStrategy::kSequence || grid.headwise < 1 || grid.sequence < 1)) {
    return Concatenate("grid ", grid.headwise, "x", grid.sequence, " with strategy ", Name(variant.strategy),
                       ": a grid needs strategy sequence and both sides at least 1");
  }
  return "";
}

std::vector<ValidCombination> ValidCombinations(Phase phase) {
  std::vector<ValidCombination> valid;
  for (ParallelStrategy strategy : kStrategies) {
    for (Exchange exchange : kExchanges) {
      for (Sharding sharding : kShardings) {
        for (AttentionAlgorithm algorithm : kAllAlgorithms) {
          for (Contract contract : kContracts) {
            const Variant variant = {strategy, exchange, sharding, algorithm, {}, {}};
            if (WhyInvalid(variant, contract, phase).empty()) valid.push_back({variant, contract});
          }
        }
      }
    }
  }
  return valid;
}

}  // namespace attention
