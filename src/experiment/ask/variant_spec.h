// A variant as the user wrote it, before the cell's defaults are filled in.
#ifndef SRC_EXPERIMENT_ASK_VARIANT_SPEC_H_
#define SRC_EXPERIMENT_ASK_VARIANT_SPEC_H_

#include <optional>
#include <string>
#include <string_view>

#include "src/parallel/strategy/strategy.h"

namespace attention {

struct VariantSpec {
  std::string label;  // as spelled; names the variant in tables, CSV and claims
  // "auto": strategy, exchange and sharding are chosen for each cell, on the machine it runs on
  // (parallel/choose); those below say nothing then.
  bool is_auto = false;
  ParallelStrategy strategy = ParallelStrategy::kHeadwise;
  std::optional<Exchange> exchange;  // empty: the default of the cell's contract and phase
  std::optional<Sharding> sharding;  // empty: the default of the cell's mask and phase
  AttentionAlgorithm algorithm = AttentionAlgorithm::kOnlineSoftmax;
  TileSizes tiles;
  Grid grid;  // not set: one-dimensional
};

// "strategy+algorithm", "strategy(exchange)+algorithm", "strategy(exchange,sharding)+algorithm", each
// optionally with "grid=2x4" last in the brackets and followed by "[q=64,kv=256]"; spaces do not matter.
// "auto" or "auto+algorithm", with tiles or without, leaves all but the algorithm to be chosen.
// Reads what Name(Variant) prints. Throws Error (what is wrong, what is allowed, did you mean).
VariantSpec ParseVariantSpec(std::string_view text);

// One field of a variant by its spelling; the same complaints.
ParallelStrategy StrategyFromText(std::string_view text);
// Nothing for "auto".
std::optional<ParallelStrategy> StrategyOrAutoFromText(std::string_view text);
Exchange ExchangeFromText(std::string_view text);
Sharding ShardingFromText(std::string_view text);
AttentionAlgorithm AlgorithmFromText(std::string_view text);
// "2x4": 2 ranks share heads, 4 groups of them share tokens.
Grid GridFromText(std::string_view text);

// With the defaults of a cell; not of an automatic one.
Variant ResolveVariant(const VariantSpec& spec, Contract contract, Phase phase, const Mask& mask);

}  // namespace attention

#endif  // SRC_EXPERIMENT_ASK_VARIANT_SPEC_H_
