#include "src/parallel/contracts/all_to_all_attention.h"

#include <utility>

#include "src/parallel/partition/sequence_layout.h"

namespace attention {

AllToAllAttention::AllToAllAttention(const AttentionPlan& plan, GridCommunicators communicators)
    : DistributedAttention(plan),
      communicators_(std::move(communicators)),
      pipeline_(plan, TokensOfGroup(plan, 0), HeadIndices(plan), communicators_.heads()) {
  const TokenShare own = TokensOfRank(plan, plan.rank);
  query_shard_ = {0, plan.problem.query_heads, own.queries};
  key_value_shard_ = {0, plan.problem.kv_heads, own.keys};
  output_shard_ = query_shard_;
}

}  // namespace attention
