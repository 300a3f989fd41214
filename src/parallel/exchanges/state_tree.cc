#include "src/parallel/exchanges/state_tree.h"

#include <utility>

#include "src/mpi/request_set.h"
#include "src/parallel/exchanges/state_exchange.h"

namespace attention {
namespace {

constexpr char kOperation[] = "tree of partial states";

}  // namespace

StateTree::StateTree(const Communicator& communicator, int ranks, int64_t batch, int64_t heads,
                     int64_t tokens, int64_t head_dim)
    : communicator_(&communicator), tree_(ReductionTree::Of(ranks)) {
  for (int i = 0; i < (ranks > 1 ? 2 : 1); ++i) states_.emplace_back(batch, heads, tokens, head_dim);
}

AttentionStateView StateTree::Run(RunParts parts) {
  if (states_.size() == 1) return own();
  const int rank = communicator_->rank();
  AttentionStateView mine = own(), theirs = states_.back().view();
  if (tree_.is_extra(rank)) {
    RequestSet requests(*communicator_, parts.exchange);
    SendState(requests, mine, rank - tree_.power);
    ReceiveState(requests, theirs, rank - tree_.power);
    requests.Wait(kOperation, tree_.levels + 1);
    return theirs;
  }
  // Both of a pair merge the lower rank's state first.
  const auto merge = [&](bool mine_is_first) {
    if (!mine_is_first) std::swap(mine, theirs);
    if (parts.compute) MergeState(mine, theirs);
  };
  if (tree_.has_extra(rank)) {
    RequestSet requests(*communicator_, parts.exchange);
    ReceiveState(requests, theirs, rank + tree_.power);
    requests.Wait(kOperation, 0);
    merge(true);
  }
  for (int level = 0; level < tree_.levels; ++level) {
    const int partner = tree_.Partner(rank, level);
    RequestSet requests(*communicator_, parts.exchange);
    ReceiveState(requests, theirs, partner);
    SendState(requests, mine, partner);
    requests.Wait(kOperation, level + 1);
    merge(rank < partner);
  }
  if (tree_.has_extra(rank)) {
    RequestSet requests(*communicator_, parts.exchange);
    SendState(requests, mine, rank + tree_.power);
    requests.Wait(kOperation, tree_.levels + 1);
  }
  return mine;
}

size_t StateTree::size_bytes() const {
  size_t bytes = 0;
  for (const AttentionStateBuffer& state : states_) bytes += state.size_bytes();
  return bytes;
}

}  // namespace attention
