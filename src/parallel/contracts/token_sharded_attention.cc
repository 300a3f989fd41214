#include "src/parallel/contracts/token_sharded_attention.h"

#include <utility>

#include "src/mpi/request_set.h"
#include "src/parallel/exchanges/sequence_stages.h"

namespace attention {

TokenShardedAttention::TokenShardedAttention(const AttentionPlan& plan, GridCommunicators communicators)
    : DistributedAttention(plan), communicators_(std::move(communicators)) {
  const AttentionProblem& problem = plan_.problem;
  const auto tokens_of = [&](int rank) {
    return ShareOfTokens(problem.kv_tokens, plan_.variant.sharding, plan_.ranks, rank);
  };
  const TokenSegments own = tokens_of(plan_.rank);
  query_shard_ = {0, problem.query_heads, own};
  key_value_shard_ = {0, problem.kv_heads, own};
  output_shard_ = query_shard_;

  SequenceLayout layout = {plan_.heads(), {}, plan_.token_index()};
  for (int group = 0; group < plan_.token_parts; ++group) {
    std::vector<TokenSegments> members;
    for (int i = 0; i < plan_.head_parts; ++i) members.push_back(tokens_of(group * plan_.head_parts + i));
    layout.tokens.push_back(JoinTokens(members));
    if (plan_.head_parts > 1 && group == plan_.token_index()) {
      head_exchange_.emplace(plan_, members, communicators_.heads(), HeadExchange::Pieces::kOne);
    }
  }
  stage_ = MakeSequenceStage(plan_, layout, communicators_.tokens());
}

void TokenShardedAttention::Execute(const ConstTensorView& q, const ConstTensorView& k,
                                    const ConstTensorView& v, const TensorView& output, RunParts parts) {
  if (!head_exchange_) {
    stage_->Run(q, k, v, output, parts);
    return;
  }
  HeadExchange& exchange = *head_exchange_;
  RequestSet requests(communicators_.heads());
  if (parts.exchange) exchange.StartTokensToHeads(0, q, k, v, requests);
  requests.Wait("all-to-all of Q, K, V", 0);
  stage_->Run(exchange.q(), exchange.k(), exchange.v(), exchange.output(), parts);
  if (parts.exchange) exchange.StartHeadsToTokens(0, output, requests);
  requests.Wait("all-to-all of outputs", 1);
}

int64_t TokenShardedAttention::comm_bytes_formula() const {
  return stage_->comm_bytes() + (head_exchange_ ? head_exchange_->comm_bytes() : 0);
}

size_t TokenShardedAttention::workspace_bytes() const {
  return stage_->workspace_bytes() + (head_exchange_ ? head_exchange_->workspace_bytes() : 0);
}

}  // namespace attention
