#ifndef SRC_PARALLEL_CONTRACTS_SPLIT_KEYS_ATTENTION_H_
#define SRC_PARALLEL_CONTRACTS_SPLIT_KEYS_ATTENTION_H_

#include <optional>
#include <vector>

#include "src/attention/attention_state.h"
#include "src/parallel/contracts/distributed_attention.h"
#include "src/parallel/exchanges/state_tree.h"
#include "src/parallel/partition/grid_communicators.h"

namespace attention {

// Decode over a token-sharded K/V cache: every rank has the few queries, computes them over its own keys, and
// one exchange of (o, m, l) brings every partial state to every rank, which merges them in rank order: all
// ranks get the same bits. Nothing else travels, so a token costs one latency and batch * query heads * query
// tokens * (head_dim + 2) floats to each of the others, whatever the length of the cache. In a 2-D grid the
// ranks of a token group hold different heads, and then gather the merged outputs.
//
// all_to_all (Helix parallelism, Bhatia et al. 2025): each rank merges a part of the heads, is sent the
// partial states of these alone, and has the outputs of these alone: what a tensor-parallel output projection
// takes. That is 1 / P of the bytes, and bit for bit the same outputs.
//
// tree: log2 P messages one after the other instead of P - 1 at once (exchanges/state_tree.h); all ranks have
// the same bits, which differ from the other two exchanges' by rounding.
class SplitKeysAttention : public DistributedAttention {
 public:
  SplitKeysAttention(const AttentionPlan& plan, GridCommunicators communicators);

  size_t workspace_bytes() const override;
  TileSizes tiles() const override { return kernel_.tiles(); }

 protected:
  void Execute(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
               const TensorView& output, RunParts parts) override;
  void PlaceTokens() override;

 private:
  // Merged over ranks, of merged_heads().
  AttentionStateView ReducedState(RunParts parts);
  void ExchangeStates(RunParts parts) const;
  void GatherHeads(RunParts parts, const TensorView& output) const;
  // Of the rank's own keys, all its heads.
  AttentionStateView computed() const {
    if (tree_) return tree_->own();
    return scatters_ ? all_heads_.view() : states_[static_cast<size_t>(plan_.token_index())].view();
  }

  GridCommunicators communicators_;
  TokenSegments query_tokens_;
  TokenSegments key_tokens_;  // own, as rows of the K/V this rank is given
  KernelRunner kernel_;
  bool scatters_;                             // all_to_all
  AttentionStateBuffer all_heads_;            // only if it scatters
  std::optional<StateTree> tree_;             // of a tree, which has the states
  std::vector<AttentionStateBuffer> states_;  // of the merged heads, by token index; own is computed
};

}  // namespace attention

#endif  // SRC_PARALLEL_CONTRACTS_SPLIT_KEYS_ATTENTION_H_
