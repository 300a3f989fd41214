// Partial softmax states of the same rows on every rank, reduced to all ranks in a tree.
#ifndef SRC_PARALLEL_EXCHANGES_STATE_TREE_H_
#define SRC_PARALLEL_EXCHANGES_STATE_TREE_H_

#include <cstdint>
#include <vector>

#include "src/attention/attention_state.h"
#include "src/mpi/communicator.h"
#include "src/parallel/exchanges/kernel_runner.h"
#include "src/parallel/partition/reduction_tree.h"

namespace attention {

// Tree attention (Shyam et al. 2024), by recursive doubling: log2 P messages of one state instead of P - 1,
// which many ranks, or a long latency, make good. Who merges what is fixed, so results do not depend on
// arrival and all ranks have the same bits; those of merging in rank order differ from them by rounding.
class StateTree {
 public:
  // Of states of [batch, heads, tokens, head_dim], between `ranks` ranks: all of `communicator`, which must
  // outlive it, or 1, where there is nothing to reduce.
  StateTree(const Communicator& communicator, int ranks, int64_t batch, int64_t heads, int64_t tokens,
            int64_t head_dim);

  // To be filled before Run().
  AttentionStateView own() const { return states_.front().view(); }
  // Collective. Returns the state of all ranks' keys.
  AttentionStateView Run(RunParts parts);

  size_t size_bytes() const;

 private:
  const Communicator* communicator_;
  ReductionTree tree_;
  std::vector<AttentionStateBuffer> states_;  // own, and the partner's; alone: own
};

}  // namespace attention

#endif  // SRC_PARALLEL_EXCHANGES_STATE_TREE_H_
