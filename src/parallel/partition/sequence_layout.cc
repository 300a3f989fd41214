#include "src/parallel/partition/sequence_layout.h"

#include <algorithm>
#include <utility>

#include "src/parallel/partition/token_dealing.h"

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

namespace {

// Of the ranks that divide the heads of a token group.
std::vector<TokenSegments> Members(const AttentionPlan& plan, const std::vector<TokenSegments>& by_rank,
                                   int group) {
  const auto first = by_rank.begin() + group * plan.head_parts;
  return {first, first + plan.head_parts};
}

}  // namespace

std::vector<TokenSegments> TokensByRank(const AttentionPlan& plan) {
  return DealTokens(plan.problem.mask, plan.problem.kv_tokens, plan.variant.sharding, plan.ranks);
}

TokenSegments TokensOfRank(const AttentionPlan& plan, int rank) {
  if (plan.variant.sharding == Sharding::kBalanced) return TokensByRank(plan)[static_cast<size_t>(rank)];
  return ShareOfTokens(plan.problem.kv_tokens, plan.variant.sharding, plan.ranks, rank);
}

std::vector<TokenSegments> TokensOfGroup(const AttentionPlan& plan, int group) {
  return Members(plan, TokensByRank(plan), group);
}

std::vector<TokenSegments> QueryTokensByGroup(const AttentionPlan& plan) {
  const AttentionProblem& problem = plan.problem;
  if (plan.token_parts == 1) return {AllTokens(problem.query_tokens, plan.first_query_position())};
  std::vector<TokenSegments> groups =
      DealTokens(problem.mask, problem.query_tokens, plan.variant.sharding, plan.token_parts);
  for (TokenSegments& group : groups) group = InWholeSequence(std::move(group));
  return groups;
}

SequenceLayout LayoutOf(const AttentionPlan& plan) {
  SequenceLayout layout = {plan.heads(), {}, plan.token_index()};
  const std::vector<TokenSegments> by_rank = TokensByRank(plan);
  for (int group = 0; group < plan.token_parts; ++group) {
    layout.tokens.push_back(JoinTokens(Members(plan, by_rank, group)));
  }
  return layout;
}

}  // namespace attention
