#include "src/parallel/contracts/all_to_all_attention.h"

#include <span>
#include <utility>
#include <vector>

#include "src/mpi/request_set.h"

namespace attention {
namespace {

std::vector<TokenSegments> TokensByRank(const AttentionPlan& plan) {
  std::vector<TokenSegments> tokens;
  for (int rank = 0; rank < plan.ranks; ++rank) {
    tokens.push_back(ShareOfTokens(plan.problem.kv_tokens, plan.variant.sharding, plan.ranks, rank));
  }
  return tokens;
}

}  // namespace

AllToAllAttention::AllToAllAttention(const AttentionPlan& plan, GridCommunicators communicators)
    : DistributedAttention(plan),
      communicators_(std::move(communicators)),
      exchange_(plan, TokensByRank(plan), communicators_.heads(), HeadExchange::Pieces::kSeveral),
      kernel_(plan, exchange_.own_pieces().front(), plan.problem.kv_tokens, plan.problem.kv_tokens) {
  const TokenSegments own =
      ShareOfTokens(plan.problem.kv_tokens, plan.variant.sharding, plan.ranks, plan.rank);
  query_shard_ = {0, plan.problem.query_heads, own};
  key_value_shard_ = {0, plan.problem.kv_heads, own};
  output_shard_ = query_shard_;
}

void AllToAllAttention::Execute(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                                const TensorView& output, RunParts parts) {
  const std::vector<HeadShare>& own = exchange_.own_pieces();
  const size_t most = exchange_.most_pieces();
  RequestSet arriving(communicators_.heads()), leaving(communicators_.heads());
  if (parts.exchange) exchange_.StartTokensToHeads(0, q, k, v, arriving);
  for (size_t piece = 0; piece < most; ++piece) {
    arriving.Wait("all-to-all of Q, K, V", static_cast<int64_t>(piece));
    if (parts.exchange) exchange_.StartTokensToHeads(piece + 1, q, k, v, arriving);
    if (parts.compute && piece < own.size()) Compute(own[piece], {&arriving, &leaving});
    if (parts.exchange) exchange_.StartHeadsToTokens(piece, output, leaving);
  }
  leaving.Wait("all-to-all of outputs", static_cast<int64_t>(most));
}

void AllToAllAttention::Compute(const HeadShare& piece, const std::vector<RequestSet*>& under_way) {
  const TokenSegments& tokens = exchange_.group_tokens();
  const KeyValueShard keys = {exchange_.k(piece), exchange_.v(piece), tokens};
  kernel_.Accumulate({.query = {exchange_.q(piece), tokens},
                      .key_values = std::span(&keys, 1),
                      .output = exchange_.output(piece)},
                     under_way);
}

}  // namespace attention
