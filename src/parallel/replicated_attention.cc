#include "src/parallel/replicated_attention.h"

#include <utility>

#include "src/mpi/request_set.h"

namespace attention {

ReplicatedAttention::ReplicatedAttention(const AttentionPlan& plan, GridCommunicators communicators)
    : DistributedAttention(plan),
      communicators_(std::move(communicators)),
      gathers_(plan.variant.exchange != Exchange::kNone),
      query_tokens_(QueryTokensOf(plan, plan.rank)),
      key_tokens_(AllTokens(plan.problem.kv_tokens)),
      kernel_(plan, plan.heads(), TokenCount(query_tokens_), plan.problem.kv_tokens) {
  const AttentionProblem& problem = plan_.problem;
  const HeadShare own = plan_.heads();
  const TokenSegments rows = AllTokens(problem.query_tokens, plan_.first_query_position());
  // Without an exchange everything stays head-sharded at both ends: column-parallel projections make only the
  // own heads, and the row-parallel one behind takes only them.
  output_shard_ = {own.query.begin, own.query.size(), rows};
  query_shard_ = output_shard_;
  if (gathers_) query_shard_ = output_shard_ = {0, problem.query_heads, rows};
  // A K/V cache is only ever read by the rank that owns its heads: under native, no other rank stores them.
  const bool keys_are_sharded = !gathers_ || (problem.is_decode() && plan_.contract == Contract::kNative);
  key_value_shard_ = keys_are_sharded ? TensorShard{own.kv.begin, own.kv.size(), key_tokens_}
                                      : TensorShard{0, problem.kv_heads, key_tokens_};
}

TokenSegments ReplicatedAttention::QueryTokensOf(const AttentionPlan& plan, int rank) {
  if (plan.token_parts == 1) return AllTokens(plan.problem.query_tokens, plan.first_query_position());
  return InWholeSequence(ShareOfTokens(plan.problem.query_tokens, plan.variant.sharding, plan.token_parts,
                                       rank / plan.head_parts));
}

void ReplicatedAttention::Execute(const ConstTensorView& q, const ConstTensorView& k,
                                  const ConstTensorView& v, const TensorView& output, RunParts parts) {
  const HeadShare own = plan_.heads();
  if (parts.compute) {
    const int64_t kv_begin = own.kv.begin - key_value_shard_.head_begin;
    const int64_t query_begin = own.query.begin - query_shard_.head_begin;
    const int64_t output_begin = own.query.begin - output_shard_.head_begin;
    kernel_.Accumulate(
        {{q.SliceHeads(query_begin, own.query.size()), query_tokens_},
         {k.SliceHeads(kv_begin, own.kv.size()), v.SliceHeads(kv_begin, own.kv.size()), key_tokens_},
         {},
         output.SliceHeads(output_begin, own.query.size()),
         /*first=*/true,
         /*last=*/true,
         {}},
        nullptr);
  }
  if (parts.exchange && gathers_) GatherOutputs(output);
}

void ReplicatedAttention::GatherOutputs(const TensorView& output) const {
  const int rank = plan_.rank, size = plan_.ranks;
  const auto block = [&](int r, const TokenSegment& segment) {
    const IndexRange heads = plan_.heads_of(r % plan_.head_parts).query;
    return output.SliceHeads(heads.begin, heads.size()).SliceTokens(segment.local_begin, segment.length);
  };
  RequestSet requests(communicators_.all());
  for (int turn = 1; turn < size; ++turn) {
    const int source = (rank - turn + size) % size, destination = (rank + turn) % size;
    for (const TokenSegment& segment : QueryTokensOf(plan_, source)) {
      requests.Receive({block(source, segment)}, source);
    }
    for (const TokenSegment& segment : query_tokens_) requests.Send({block(rank, segment)}, destination);
  }
  requests.Wait("allgather of outputs", 0);
}

int64_t ReplicatedAttention::comm_bytes_formula() const {
  if (!gathers_) return 0;
  return OutputBytes(plan_.problem, plan_.heads().query.size(), TokenCount(query_tokens_)) *
         (plan_.ranks - 1);
}

}  // namespace attention
