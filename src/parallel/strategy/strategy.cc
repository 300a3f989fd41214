#include "src/parallel/strategy/strategy.h"

#include "src/base/error.h"

namespace attention {
namespace {

std::string ShortName(const ExchangeRow& row) {
  return std::string(Name(row.strategy)) + "(" + std::string(Name(row.exchange)) + ")";
}

// Names of the rows that `matches` accepts, comma-separated; "none" without any.
template <typename Predicate>
std::string RowsWhere(Predicate matches) {
  std::string names;
  for (const ExchangeRow& row : kExchangeTable) {
    if (matches(row)) names += (names.empty() ? "" : ", ") + ShortName(row);
  }
  return names.empty() ? "none" : names;
}

std::string ContractsOf(const ExchangeRow& row) {
  std::string names;
  for (const Word<Contract>& contract : kContracts) {
    if (row.Allows(contract.value)) names += (names.empty() ? "" : ", ") + std::string(contract.name);
  }
  return names;
}

}  // namespace

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
  if (strategy != ParallelStrategy::kSequence || phase != Phase::kPrefill) return Sharding::kContiguous;
  if (mask.kind() == MaskKind::kDocuments) return Sharding::kBalanced;
  return mask.grows() ? Sharding::kZigzag : Sharding::kContiguous;
}

std::string WhyInvalid(const Variant& variant, Contract contract, Phase phase) {
  using internal::Concatenate;
  const std::string pair = Concatenate(Name(variant.strategy), "(", Name(variant.exchange), ")");
  const ExchangeRow* row = FindExchange(phase, variant.strategy, variant.exchange);
  if (row == nullptr) {
    const std::string valid =
        RowsWhere([&](const ExchangeRow& r) { return r.phase == phase && r.strategy == variant.strategy; });
    return Concatenate(pair, " does not exist in ", Name(phase), "; valid: ", valid);
  }
  if (row->needs_state && !RowOf(variant.algorithm).carries_state) {
    const std::string valid = RowsWhere(
        [&](const ExchangeRow& r) { return r.phase == phase && !r.needs_state && r.Allows(contract); });
    return Concatenate(pair, " merges running softmax states, which only online_softmax has; valid with ",
                       Name(variant.algorithm), " under contract ", Name(contract), ": ", valid);
  }
  if (!row->Allows(contract)) {
    const std::string valid =
        RowsWhere([&](const ExchangeRow& r) { return r.phase == phase && r.Allows(contract); });
    return Concatenate(pair, " is not possible under contract ", Name(contract), " in ", Name(phase),
                       "; valid contracts for it: ", ContractsOf(*row), "; valid under ", Name(contract),
                       ": ", valid);
  }
  if (variant.sharding != Sharding::kContiguous && !row->deals_tokens) {
    if (contract == Contract::kTokenSharded)
      return Concatenate(pair, " takes tokens as they follow each other, not ", Name(variant.sharding),
                         "; valid sharding: contiguous");
    return Concatenate(pair, " deals no tokens of a prefill to ranks, so ", Name(variant.sharding),
                       " means nothing in ", Name(phase), "; valid sharding: contiguous");
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
  for (const Word<ParallelStrategy>& strategy : kStrategies) {
    for (const Word<Exchange>& exchange : kExchanges) {
      for (const Word<Sharding>& sharding : kShardings) {
        for (AttentionAlgorithm algorithm : kAllAlgorithms) {
          const Variant variant = {strategy.value, exchange.value, sharding.value, algorithm, {}, {}};
          for (const Word<Contract>& contract : kContracts) {
            if (WhyInvalid(variant, contract.value, phase).empty())
              valid.push_back({variant, contract.value});
          }
        }
      }
    }
  }
  return valid;
}

}  // namespace attention
