#include "src/parallel/partition/sequence_layout.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "src/parallel/partition/token_dealing.h"

namespace attention {

namespace {

TokenSegments Behind(TokenSegments segments, int64_t cached) {
  for (TokenSegment& segment : segments) segment.global_begin += cached;
  return segments;
}

// New tokens, and a share of what is cached before them.
TokenShare WithCached(const AttentionPlan& plan, TokenSegments new_tokens, int rank) {
  const int64_t cached = plan.first_query_position();
  TokenSegments queries = Behind(std::move(new_tokens), cached);
  if (cached == 0) return {queries, queries};
  TokenSegments keys = JoinTokens({ShareOfTokens(cached, plan.variant.sharding, plan.ranks, rank), queries});
  return {std::move(queries), std::move(keys)};
}

// Of the ranks that divide the heads of a token group.
std::vector<TokenShare> Members(const AttentionPlan& plan, const std::vector<TokenShare>& by_rank,
                                int group) {
  const auto first = by_rank.begin() + group * plan.head_parts;
  return {first, first + plan.head_parts};
}

}  // namespace

int64_t SequenceLayout::max_queries() const { return MostOf(queries); }

std::vector<TokenShare> TokensByRank(const AttentionPlan& plan) {
  std::vector<TokenShare> shares;
  for (TokenSegments& dealt :
       DealTokens(plan.problem.mask, plan.problem.query_tokens, plan.variant.sharding, plan.ranks)) {
    shares.push_back(WithCached(plan, std::move(dealt), static_cast<int>(shares.size())));
  }
  return shares;
}

TokenShare TokensOfRank(const AttentionPlan& plan, int rank) {
  if (plan.variant.sharding == Sharding::kBalanced) return TokensByRank(plan)[static_cast<size_t>(rank)];
  return WithCached(plan, ShareOfTokens(plan.problem.query_tokens, plan.variant.sharding, plan.ranks, rank),
                    rank);
}

std::vector<TokenShare> TokensOfGroup(const AttentionPlan& plan, int group) {
  return Members(plan, TokensByRank(plan), group);
}

std::vector<int> HeadIndices(const AttentionPlan& plan) {
  std::vector<int> indices(static_cast<size_t>(plan.head_parts));
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

std::vector<TokenShare> TokensByNode(const AttentionPlan& plan) {
  const std::vector<TokenShare> by_rank = TokensByRank(plan);
  std::vector<TokenShare> by_node;
  for (auto first = by_rank.begin(); first != by_rank.end(); first += plan.parts_of_node) {
    const std::vector<TokenShare> of_node(first, first + plan.parts_of_node);
    by_node.push_back({StackTokens(QueriesOf(of_node)), StackTokens(KeysOf(of_node))});
  }
  return by_node;
}

std::vector<TokenSegments> QueriesOf(const std::vector<TokenShare>& shares) {
  std::vector<TokenSegments> queries;
  for (const TokenShare& share : shares) queries.push_back(share.queries);
  return queries;
}

std::vector<TokenSegments> KeysOf(const std::vector<TokenShare>& shares) {
  std::vector<TokenSegments> keys;
  for (const TokenShare& share : shares) keys.push_back(share.keys);
  return keys;
}

int64_t TotalOf(const std::vector<TokenSegments>& shares) {
  int64_t total = 0;
  for (const TokenSegments& share : shares) total += TokenCount(share);
  return total;
}

int64_t MostOf(const std::vector<TokenSegments>& shares) {
  int64_t most = 0;
  for (const TokenSegments& share : shares) most = std::max(most, TokenCount(share));
  return most;
}

std::vector<TokenSegments> QueryTokensByGroup(const AttentionPlan& plan) {
  const AttentionProblem& problem = plan.problem;
  if (plan.token_parts == 1) return {AllTokens(problem.query_tokens, plan.first_query_position())};
  std::vector<TokenSegments> groups =
      DealTokens(problem.mask, problem.query_tokens, plan.variant.sharding, plan.token_parts);
  // Rows of the whole, which begins behind what is cached.
  for (TokenSegments& group : groups) {
    group = Behind(InWholeSequence(std::move(group)), plan.first_query_position());
  }
  return groups;
}

SequenceLayout LayoutOf(const AttentionPlan& plan) {
  SequenceLayout layout = {plan.heads(), {}, {}, plan.token_index()};
  const std::vector<TokenShare> by_rank = TokensByRank(plan);
  for (int group = 0; group < plan.token_parts; ++group) {
    const std::vector<TokenShare> members = Members(plan, by_rank, group);
    layout.queries.push_back(JoinTokens(QueriesOf(members)));
    layout.keys.push_back(JoinTokens(KeysOf(members)));
  }
  return layout;
}

}  // namespace attention
