// A problem and a variant: what is computed, and how it is distributed; and which combinations are valid.
#ifndef SRC_PARALLEL_STRATEGY_STRATEGY_H_
#define SRC_PARALLEL_STRATEGY_STRATEGY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/attention/algorithm.h"
#include "src/attention/attention_types.h"
#include "src/attention/mask.h"
#include "src/parallel/strategy/exchange.h"
#include "src/parallel/strategy/words.h"

namespace attention {

// 2-D parallelism (USP, Fang & Zhao 2024): `headwise` ranks that are neighbours share the tokens of their
// group among each other by heads; `sequence` groups run the sequence strategy between them. Rank = group *
// headwise + place in the group. {0, 0}: one-dimensional, as the strategy says.
struct Grid {
  int headwise = 0;
  int sequence = 0;

  bool is_set() const { return headwise != 0 || sequence != 0; }
  bool operator==(const Grid&) const = default;
};

// strategy(exchange, sharding)+algorithm with its own tile sizes: what a cell compares.
struct Variant {
  ParallelStrategy strategy = ParallelStrategy::kHeadwise;
  Exchange exchange = Exchange::kAllgather;
  Sharding sharding = Sharding::kContiguous;
  AttentionAlgorithm algorithm = AttentionAlgorithm::kOnlineSoftmax;
  TileSizes tiles;
  Grid grid;  // strategy sequence only: `exchange` is what runs between the groups

  bool operator==(const Variant&) const = default;
};

// Attention of `query_tokens` rows, the last ones of a sequence of `kv_tokens`: row i has global position
// kv_tokens - query_tokens + i. A prefill may begin behind cached tokens; decode has query_tokens == 1.
struct AttentionProblem {
  int64_t batch = 1;
  int64_t query_heads = 1;
  int64_t kv_heads = 1;  // divides query_heads
  int64_t head_dim = 128;
  int64_t query_tokens = 0;  // the last ones of the sequence
  int64_t kv_tokens = 0;     // all: a prefill with fewer queries goes on behind cached keys and values
  Mask mask;
  DataType data_type = DataType::kFloat32;
  // Decode: of cached keys and values, if not data_type.
  std::optional<DataType> kept_key_values = std::nullopt;
  Phase phase = Phase::kPrefill;

  int64_t group_size() const { return query_heads / kv_heads; }
  bool is_decode() const { return phase == Phase::kDecode; }
  DataType key_value_type() const { return kept_key_values.value_or(data_type); }
  // Before a prefill's first query.
  int64_t cached_tokens() const { return is_decode() ? 0 : kv_tokens - query_tokens; }
};

// "sequence(ring,zigzag)+online_softmax"; a grid adds ",grid=2x4" (headwise x sequence) inside the brackets,
// tiles other than auto add "[q=64,kv=256]" at the end.
std::string Name(const Variant& variant);

// The design's defaults: headwise -> allgather (all_to_all under token_sharded); sequence+online_softmax ->
// ring (prefill; allgather under replicated, where no K/V travel) or merge (decode); sequence with an exact
// softmax -> allgather; sharding under sequence in prefill zigzag where later rows see ever more keys (mask
// causal), balanced where documents are packed, else contiguous.
Exchange DefaultExchange(ParallelStrategy strategy, AttentionAlgorithm algorithm, Contract contract,
                         Phase phase);
Sharding DefaultSharding(ParallelStrategy strategy, Phase phase, const Mask& mask);

// Which combinations are valid.
//
//   prefill                  native              token_sharded   replicated   sharding
//   headwise(allgather)      yes                 -               yes          contiguous
//   headwise(none)           head-sharded        -               -            contiguous
//   headwise(shared)         yes                 yes             yes          contiguous
//   headwise(all_to_all)     -                   yes             -            any
//   sequence(ring)           = token_sharded     yes             -            any
//   sequence(allgather)      = token_sharded     yes             yes          any
//   sequence(merge)          = token_sharded     yes             -            any
//   sequence(mesh)           = token_sharded     yes             -            any
//   sequence(shared)         = token_sharded     yes             -            any
//
//   decode                   native                              token_sharded   replicated
//   headwise(allgather)      K/V head-sharded                    -               yes
//   headwise(shared)         the same                            -               yes
//   headwise(none)           head-sharded                        -               -
//   sequence(merge)          K/V token-sharded (contiguous)      -               yes
//   sequence(tree)           the same                            -               yes
//   sequence(all_to_all)     the same, outputs head-sharded      -               -
//
// headwise reads whole K/V of its heads: every algorithm. ring, merge, mesh, shared, tree and decode's
// all_to_all carry running softmax states: online_softmax only. sequence(allgather) sees all keys at once:
// every algorithm. head-sharded: q, k, v and output, each rank its own heads. native headwise(allgather)
// prefill starts from complete inputs; native decode starts and ends with complete (tiny) queries and
// outputs, and only the K/V cache is sharded. replicated: every rank has all K/V and needs all outputs, so
// only outputs travel, and they are gathered: the rest of ring or merge has nothing to move, and would only
// compute the same in another order. In decode a rank reads its share of the replica (heads or tokens), and
// the partial results must come together: allgather or merge. token_sharded decode: one token cannot be
// sharded, and the cache's own sharding is what native means there. A grid takes what sequence takes; under
// token_sharded its inner, head-wise exchange is an all-to-all.

// Empty if the combination is valid; otherwise one line that says what is wrong and what is valid instead.
std::string WhyInvalid(const Variant& variant, Contract contract, Phase phase);

// Every valid one-dimensional (variant with automatic tiles, contract) of a phase, in the order of the enums.
struct ValidCombination {
  Variant variant;
  Contract contract;
};
std::vector<ValidCombination> ValidCombinations(Phase phase);

}  // namespace attention

#endif  // SRC_PARALLEL_STRATEGY_STRATEGY_H_
