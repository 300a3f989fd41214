#include "src/parallel/exchanges/head_pipeline.h"

#include <cstdint>
#include <span>

#include "src/mpi/request_set.h"

namespace attention {

HeadPipeline::HeadPipeline(const AttentionPlan& plan, const std::vector<TokenShare>& tokens,
                           const std::vector<int>& head_indices, const Communicator& communicator)
    : communicator_(&communicator),
      exchange_(plan, tokens, head_indices, communicator, HeadExchange::Pieces::kSeveral),
      kernel_(plan, exchange_.own_pieces().front(), plan.problem.query_tokens, plan.problem.kv_tokens) {}

void HeadPipeline::Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                       const TensorView& output, RunParts parts) {
  const std::vector<HeadShare>& own = exchange_.own_pieces();
  const size_t most = exchange_.most_pieces();
  RequestSet arriving(*communicator_, parts.exchange), leaving(*communicator_, parts.exchange);
  exchange_.StartTokensToHeads(0, q, k, v, arriving);
  for (size_t piece = 0; piece < most; ++piece) {
    arriving.Wait("all-to-all of Q, K, V", static_cast<int64_t>(piece));
    exchange_.StartTokensToHeads(piece + 1, q, k, v, arriving);
    if (piece < own.size()) Compute(parts, own[piece], {&arriving, &leaving});
    exchange_.StartHeadsToTokens(piece, output, leaving);
  }
  leaving.Wait("all-to-all of outputs", static_cast<int64_t>(most));
}

void HeadPipeline::Compute(RunParts parts, const HeadShare& piece,
                           const std::vector<RequestSet*>& under_way) {
  const KeyValueShard keys = {exchange_.k(piece), exchange_.v(piece), exchange_.group_keys()};
  kernel_.Accumulate(parts,
                     {.query = {exchange_.q(piece), exchange_.group_queries()},
                      .key_values = std::span(&keys, 1),
                      .output = exchange_.output(piece)},
                     under_way);
}

}  // namespace attention
