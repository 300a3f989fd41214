// How data moves between the ranks: one row per exchange of a strategy in a phase, which owns where it is
// valid, how many bytes a rank sends, and how much memory it needs. Whoever has to know an exchange asks its
// row:
// --list and messages (strategy.h), the test of the byte counter, the estimates of a dry run. Who makes it
// stands in exchanges/sequence_stages.h (sequence) and make_distributed_attention.cc (the contracts).
#ifndef SRC_PARALLEL_STRATEGY_EXCHANGE_H_
#define SRC_PARALLEL_STRATEGY_EXCHANGE_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "src/parallel/strategy/words.h"

namespace attention {

enum class Exchange {
  kNone,  // headwise: heads in, heads out (tensor-parallel blocks; in scope attention it measures kernels)
  kAllgather,  // headwise: outputs gathered. sequence: K/V gathered first (Llama 3's context parallelism)
  kAllToAll,   // headwise: tokens in, tokens out (DeepSpeed-Ulysses). sequence, decode: partial states to the
               // ranks of their heads (Helix parallelism)
  kRing,       // sequence: K/V rotate (Liu, Zaharia, Abbeel 2023)
  kMerge,      // sequence: queries travel, partial states merge (flash-decoding across ranks)
  kMesh,       // sequence: queries travel along rows of ranks, K/V along columns (Mesh-Attention, Chen et al.
               // 2025)
  kTree,       // sequence, decode: partial states merge in a tree (tree attention, Shyam et al. 2024)
  kShared,     // headwise: outputs are written where all ranks of a node read them, and where tokens are
               // sharded Q, K and V are read where they are. sequence: K/V are read where they are; a ring of
               // nodes (all: MPI + MPI, Hoefler et al. 2013)
};

inline constexpr Word<Exchange> kExchanges[] = {
    {Exchange::kNone, "none", "head-sharded at both ends"},
    {Exchange::kAllgather, "allgather",
     "outputs gathered (headwise), keys and values gathered first (sequence)"},
    {Exchange::kAllToAll, "all_to_all",
     "tokens in, tokens out (headwise), partial results to the ranks of their heads (sequence, decode)"},
    {Exchange::kRing, "ring", "keys and values rotate"},
    {Exchange::kMerge, "merge", "queries travel, partial results merge"},
    {Exchange::kMesh, "mesh", "queries travel along rows of ranks, keys and values along columns"},
    {Exchange::kTree, "tree", "partial results merge in a tree, log2 P messages (sequence, decode)"},
    {Exchange::kShared, "shared",
     "in memory that a node's ranks share: outputs, and inputs sharded by tokens (headwise), keys and values "
     "(sequence); between nodes they travel"},
};
constexpr std::string_view Name(Exchange exchange) { return NameIn(kExchanges, exchange); }
constexpr std::optional<Exchange> ParseExchange(std::string_view name) { return ParseIn(kExchanges, name); }

// What a rank knows of the ranks it exchanges with, for formulas. Tokens of the exchange's ranks: prefill,
// those whose queries each owns; decode, the query tokens, which every rank has. Bytes are those of one
// token, of this rank's heads.
struct ExchangeSizes {
  int64_t ranks = 1;  // headwise(shared): nodes; under token_sharded the tokens below are those of a node
  int64_t own_tokens = 0;
  int64_t total_tokens = 0;
  // Prefill, the all-to-all of heads: the same of the tokens whose K and V they have, cached ones too.
  int64_t own_keys = 0;
  int64_t total_keys = 0;
  // Tokens whose K and V this rank sends, as often as it sends them, and those it has room for beside its own
  // (exact softmax: and for a copy of its own): what the mask lets somebody see (partition/key_travel.h).
  int64_t keys_sent = 0;
  int64_t keys_held = 0;
  int64_t query_bytes = 0;      // Q
  int64_t key_value_bytes = 0;  // K and V together
  int64_t output_bytes = 0;     // float32
  int64_t state_bytes = 0;      // o, m and l, float32
  // In a mesh: ranks of the row, and the tokens whose queries they own.
  int64_t row_ranks = 1;
  int64_t row_tokens = 0;
  int64_t states_sent = 0;       // in a tree: how often it sends its state
  int64_t kept_state_bytes = 0;  // the same of the heads whose states this rank merges, where it is not all
  // headwise: Q, and K and V, of the heads of all others; a KV head that several ranks read counts for each.
  int64_t query_bytes_of_others = 0;
  int64_t key_value_bytes_of_others = 0;
  bool carries_state = true;  // of the algorithm
};

struct ExchangeRow {
  Phase phase;
  ParallelStrategy strategy;
  Exchange exchange;
  bool native, token_sharded, replicated;  // contracts under which it is valid
  bool deals_tokens;                       // of a prefill: any sharding, not contiguous alone
  bool needs_state;                        // only for algorithms with AlgorithmRow::carries_state
  // Payload this rank sends to all others in one run.
  int64_t (*bytes_sent)(const ExchangeSizes& sizes);
  // What it keeps beside inputs, output and the kernel's workspace: room for what arrives, and states.
  int64_t (*buffer_bytes)(const ExchangeSizes& sizes);

  constexpr bool Allows(Contract contract) const {
    return contract == Contract::kNative       ? native
           : contract == Contract::kReplicated ? replicated
                                               : token_sharded;
  }
};

namespace exchange_formulas {

inline int64_t Nothing(const ExchangeSizes&) { return 0; }

// Its outputs to each of the others; shared: to one rank of each other node.
inline int64_t GatherOutputs(const ExchangeSizes& t) { return t.output_bytes * t.own_tokens * (t.ranks - 1); }

// Its tokens of everybody's heads to everybody, and its heads' outputs of everybody's tokens back.
inline int64_t AllToAll(const ExchangeSizes& t) {
  return t.query_bytes_of_others * t.own_tokens + t.key_value_bytes_of_others * t.own_keys +
         t.output_bytes * (t.total_tokens - t.own_tokens);
}
inline int64_t AllToAllBuffers(const ExchangeSizes& t) {
  if (t.ranks == 1) return 0;  // of nodes: everything is read where it is
  return (t.query_bytes + t.output_bytes) * t.total_tokens + t.key_value_bytes * t.total_keys;
}

// K and V that somebody sees: around the ring, or its own to each of the others. Without a mask a ring's rank
// passes on those of all but its right neighbour, and a gather's sends its own P - 1 times.
inline int64_t Keys(const ExchangeSizes& t) { return t.key_value_bytes * t.keys_sent; }
inline int64_t KeyBuffers(const ExchangeSizes& t) {
  if (t.ranks == 1) return 0;
  return t.key_value_bytes * t.keys_held + (t.carries_state ? t.state_bytes * t.own_tokens : 0);
}

// Its queries to each of the others, and a partial state to each of them.
inline int64_t Merge(const ExchangeSizes& t) {
  return t.query_bytes * t.own_tokens * (t.ranks - 1) + t.state_bytes * (t.total_tokens - t.own_tokens);
}
inline int64_t MergeBuffers(const ExchangeSizes& t) {
  if (t.ranks == 1) return 0;
  return t.query_bytes * (t.total_tokens - t.own_tokens) +
         t.state_bytes * (t.total_tokens + t.own_tokens * (t.ranks - 1));
}

// Its queries and partial states along its row, keys and values that somebody sees along its column.
inline int64_t Mesh(const ExchangeSizes& t) {
  return t.query_bytes * t.own_tokens * (t.row_ranks - 1) + t.key_value_bytes * t.keys_sent +
         t.state_bytes * (t.row_tokens - t.own_tokens);
}
inline int64_t MeshBuffers(const ExchangeSizes& t) {
  if (t.ranks == 1) return 0;
  return t.query_bytes * (t.row_tokens - t.own_tokens) + t.key_value_bytes * t.keys_held +
         t.state_bytes * (t.row_tokens + t.own_tokens * (t.row_ranks - 1));
}

// Decode: its partial state of the queries, which all ranks have, to each of the others.
inline int64_t MergeStates(const ExchangeSizes& t) { return t.state_bytes * t.own_tokens * (t.ranks - 1); }
inline int64_t MergeStatesBuffers(const ExchangeSizes& t) { return t.state_bytes * t.own_tokens * t.ranks; }

// Decode: what it has merged so far, to one rank after the other (partition/reduction_tree.h).
inline int64_t TreeStates(const ExchangeSizes& t) { return t.state_bytes * t.own_tokens * t.states_sent; }
inline int64_t TreeStatesBuffers(const ExchangeSizes& t) {
  return t.state_bytes * t.own_tokens * (t.ranks > 1 ? 2 : 1);
}

// Decode: of its partial state each head to the one rank that merges it. Kept are its own state, and every
// rank's of the heads that it merges.
inline int64_t ScatterStates(const ExchangeSizes& t) {
  return (t.state_bytes - t.kept_state_bytes) * t.own_tokens;
}
inline int64_t ScatterStatesBuffers(const ExchangeSizes& t) {
  return (t.state_bytes + t.kept_state_bytes * t.ranks) * t.own_tokens;
}

}  // namespace exchange_formulas

// contracts: native, token_sharded, replicated; then deals_tokens, needs_state.
inline constexpr ExchangeRow kExchangeTable[] = {
    {Phase::kPrefill, ParallelStrategy::kHeadwise, Exchange::kNone, true, false, false, false, false,
     &exchange_formulas::Nothing, &exchange_formulas::Nothing},
    {Phase::kPrefill, ParallelStrategy::kHeadwise, Exchange::kAllgather, true, false, true, false, false,
     &exchange_formulas::GatherOutputs, &exchange_formulas::Nothing},
    {Phase::kPrefill, ParallelStrategy::kHeadwise, Exchange::kShared, true, true, true, false, false,
     &exchange_formulas::GatherOutputs, &exchange_formulas::Nothing},
    {Phase::kPrefill, ParallelStrategy::kHeadwise, Exchange::kAllToAll, false, true, false, true, false,
     &exchange_formulas::AllToAll, &exchange_formulas::AllToAllBuffers},
    {Phase::kPrefill, ParallelStrategy::kSequence, Exchange::kAllgather, true, true, true, true, false,
     &exchange_formulas::Keys, &exchange_formulas::KeyBuffers},
    {Phase::kPrefill, ParallelStrategy::kSequence, Exchange::kRing, true, true, false, true, true,
     &exchange_formulas::Keys, &exchange_formulas::KeyBuffers},
    {Phase::kPrefill, ParallelStrategy::kSequence, Exchange::kMerge, true, true, false, true, true,
     &exchange_formulas::Merge, &exchange_formulas::MergeBuffers},
    {Phase::kPrefill, ParallelStrategy::kSequence, Exchange::kMesh, true, true, false, true, true,
     &exchange_formulas::Mesh, &exchange_formulas::MeshBuffers},
    {Phase::kPrefill, ParallelStrategy::kSequence, Exchange::kShared, true, true, false, true, true,
     &exchange_formulas::Keys, &exchange_formulas::KeyBuffers},
    {Phase::kDecode, ParallelStrategy::kHeadwise, Exchange::kNone, true, false, false, false, false,
     &exchange_formulas::Nothing, &exchange_formulas::Nothing},
    {Phase::kDecode, ParallelStrategy::kHeadwise, Exchange::kAllgather, true, false, true, false, false,
     &exchange_formulas::GatherOutputs, &exchange_formulas::Nothing},
    {Phase::kDecode, ParallelStrategy::kHeadwise, Exchange::kShared, true, false, true, false, false,
     &exchange_formulas::GatherOutputs, &exchange_formulas::Nothing},
    {Phase::kDecode, ParallelStrategy::kSequence, Exchange::kMerge, true, false, true, false, true,
     &exchange_formulas::MergeStates, &exchange_formulas::MergeStatesBuffers},
    {Phase::kDecode, ParallelStrategy::kSequence, Exchange::kTree, true, false, true, false, true,
     &exchange_formulas::TreeStates, &exchange_formulas::TreeStatesBuffers},
    {Phase::kDecode, ParallelStrategy::kSequence, Exchange::kAllToAll, true, false, false, false, true,
     &exchange_formulas::ScatterStates, &exchange_formulas::ScatterStatesBuffers},
};

// Null if the strategy has no such exchange in the phase.
constexpr const ExchangeRow* FindExchange(Phase phase, ParallelStrategy strategy, Exchange exchange) {
  for (const ExchangeRow& row : kExchangeTable) {
    if (row.phase == phase && row.strategy == strategy && row.exchange == exchange) return &row;
  }
  return nullptr;
}

}  // namespace attention

#endif  // SRC_PARALLEL_STRATEGY_EXCHANGE_H_
