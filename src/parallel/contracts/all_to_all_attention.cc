#include "src/parallel/contracts/all_to_all_attention.h"

#include <span>
#include <utility>
#include <vector>

#include "src/mpi/request_set.h"
#include "src/parallel/partition/sequence_layout.h"

namespace attention {
AllToAllAttention::AllToAllAttention(const AttentionPlan& plan, GridCommunicators communicators)
    : DistributedAttention(plan),
      communicators_(std::move(communicators)),
      exchange_(plan, TokensOfGroup(plan, 0), communicators_.heads(), HeadExchange::Pieces::kSeveral),
      kernel_(plan, exchange_.own_pieces().front(), plan.problem.query_tokens, plan.problem.kv_tokens) {
  const TokenShare own = TokensOfRank(plan, plan.rank);
  query_shard_ = {0, plan.problem.query_heads, own.queries};
  key_value_shard_ = {0, plan.problem.kv_heads, own.keys};
  output_shard_ = query_shard_;
}

void AllToAllAttention::Execute(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                                const TensorView& output, RunParts parts) {
  const std::vector<HeadShare>& own = exchange_.own_pieces();
  const size_t most = exchange_.most_pieces();
  RequestSet arriving(communicators_.heads(), parts.exchange),
      leaving(communicators_.heads(), parts.exchange);
  exchange_.StartTokensToHeads(0, q, k, v, arriving);
  for (size_t piece = 0; piece < most; ++piece) {
    arriving.Wait("all-to-all of Q, K, V", static_cast<int64_t>(piece));
    exchange_.StartTokensToHeads(piece + 1, q, k, v, arriving);
    if (piece < own.size()) Compute(parts, own[piece], {&arriving, &leaving});
    exchange_.StartHeadsToTokens(piece, output, leaving);
  }
  leaving.Wait("all-to-all of outputs", static_cast<int64_t>(most));
}

void AllToAllAttention::Compute(RunParts parts, const HeadShare& piece,
                                const std::vector<RequestSet*>& under_way) {
  const KeyValueShard keys = {exchange_.k(piece), exchange_.v(piece), exchange_.group_keys()};
  kernel_.Accumulate(parts,
                     {.query = {exchange_.q(piece), exchange_.group_queries()},
                      .key_values = std::span(&keys, 1),
                      .output = exchange_.output(piece)},
                     under_way);
}

}  // namespace attention
