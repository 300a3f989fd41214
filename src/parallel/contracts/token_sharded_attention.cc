#include "src/parallel/contracts/token_sharded_attention.h"

#include <utility>
#include <vector>

#include "src/mpi/request_set.h"
#include "src/parallel/exchanges/sequence_stages.h"
#include "src/parallel/partition/sequence_layout.h"

namespace attention {

TokenShardedAttention::TokenShardedAttention(const AttentionPlan& plan, GridCommunicators communicators)
    : DistributedAttention(plan), communicators_(std::move(communicators)) {
  const AttentionProblem& problem = plan_.problem;
  const TokenShare own = TokensOfRank(plan_, plan_.rank);
  query_shard_ = {0, problem.query_heads, own.queries};
  key_value_shard_ = {0, problem.kv_heads, own.keys};
  output_shard_ = query_shard_;

  // First, as a stage may be made by all ranks together, and what follows may fail on one alone.
  stage_ = MakeSequenceStage(plan_, LayoutOf(plan_), communicators_.tokens());
  if (plan_.head_parts > 1) {
    head_exchange_.emplace(plan_, TokensOfGroup(plan_, plan_.token_index()), HeadIndices(plan_),
                           communicators_.heads(), HeadExchange::Pieces::kOne);
  }
}

void TokenShardedAttention::Execute(const ConstTensorView& q, const ConstTensorView& k,
                                    const ConstTensorView& v, const TensorView& output, RunParts parts) {
  if (!head_exchange_) {
    stage_->Run(q, k, v, output, parts);
    return;
  }
  HeadExchange& exchange = *head_exchange_;
  RequestSet requests(communicators_.heads(), parts.exchange);
  exchange.StartTokensToHeads(0, q, k, v, requests);
  requests.Wait("all-to-all of Q, K, V", 0);
  stage_->Run(exchange.q(), exchange.k(), exchange.v(), exchange.output(), parts);
  exchange.StartHeadsToTokens(0, output, requests);
  requests.Wait("all-to-all of outputs", 1);
}

size_t TokenShardedAttention::workspace_bytes() const {
  return stage_->workspace_bytes() + (head_exchange_ ? head_exchange_->workspace_bytes() : 0);
}

}  // namespace attention
