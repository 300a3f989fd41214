#include "src/parallel/partition/sequence_layout.h"

#include <algorithm>

namespace attention {

int64_t SequenceLayout::total_tokens() const {
  int64_t total = 0;
  for (int r = 0; r < size(); ++r) total += TokensOf(r);
  return total;
}

int64_t SequenceLayout::max_tokens() const {
  int64_t most = 0;
  for (int r = 0; r < size(); ++r) most = std::max(most, TokensOf(r));
  return most;
}

TokenSegments TokensOfRank(const AttentionPlan& plan, int rank) {
  return ShareOfTokens(plan.problem.kv_tokens, plan.variant.sharding, plan.ranks, rank);
}

std::vector<TokenSegments> TokensOfGroup(const AttentionPlan& plan, int group) {
  std::vector<TokenSegments> members;
  for (int i = 0; i < plan.head_parts; ++i)
    members.push_back(TokensOfRank(plan, group * plan.head_parts + i));
  return members;
}

SequenceLayout LayoutOf(const AttentionPlan& plan) {
  SequenceLayout layout = {plan.heads(), {}, plan.token_index()};
  for (int group = 0; group < plan.token_parts; ++group) {
    layout.tokens.push_back(JoinTokens(TokensOfGroup(plan, group)));
  }
  return layout;
}

}  // namespace attention
