#include "src/parallel/contracts/split_keys_attention.h"

#include <span>
#include <utility>

#include "src/mpi/peers.h"
#include "src/mpi/request_set.h"
#include "src/parallel/exchanges/state_exchange.h"

namespace attention {
namespace {

TokenSegments OwnKeys(const AttentionPlan& plan) {
  const TokenSegments share =
      ShareOfTokens(plan.problem.kv_tokens, Sharding::kContiguous, plan.token_parts, plan.token_index());
  return plan.contract == Contract::kReplicated ? InWholeSequence(share) : share;
}

}  // namespace

SplitKeysAttention::SplitKeysAttention(const AttentionPlan& plan, GridCommunicators communicators)
    : DistributedAttention(plan),
      communicators_(std::move(communicators)),
      kernel_(plan, plan.heads(), plan.problem.query_tokens, TokenCount(OwnKeys(plan))) {
  SplitKeysAttention::PlaceTokens();
  const AttentionProblem& problem = plan_.problem;
  for (int i = 0; i < plan_.token_parts; ++i) {
    states_.emplace_back(problem.batch, plan_.heads().query.size(), problem.query_tokens, problem.head_dim);
  }
}

void SplitKeysAttention::PlaceTokens() {
  const AttentionProblem& problem = plan_.problem;
  const HeadShare own = plan_.heads();
  query_tokens_ = AllTokens(problem.query_tokens, plan_.first_query_position());
  key_tokens_ = OwnKeys(plan_);
  query_shard_ = {0, problem.query_heads, query_tokens_};
  output_shard_ = query_shard_;
  key_value_shard_ = plan_.contract == Contract::kReplicated
                         ? TensorShard{0, problem.kv_heads, AllTokens(problem.kv_tokens)}
                         : TensorShard{own.kv.begin, own.kv.size(), key_tokens_};
}

void SplitKeysAttention::Execute(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                                 const TensorView& output, RunParts parts) {
  const HeadShare own = plan_.heads();
  const int64_t kv_begin = own.kv.begin - key_value_shard_.head_begin;
  const KeyValueShard keys = {k.SliceHeads(kv_begin, own.kv.size()), v.SliceHeads(kv_begin, own.kv.size()),
                              key_tokens_};
  kernel_.Accumulate(parts,
                     {.query = {q.SliceHeads(own.query.begin, own.query.size()), query_tokens_},
                      .key_values = std::span(&keys, 1),
                      .state = states_[static_cast<size_t>(plan_.token_index())].view(),
                      .last = false},
                     {});
  ExchangeStates(parts);
  if (parts.compute) {
    for (size_t i = 1; i < states_.size(); ++i) MergeState(states_[0].view(), states_[i].view());
    FinishState(states_[0].view(), output.SliceHeads(own.query.begin, own.query.size()));
  }
  if (plan_.head_parts > 1) GatherHeads(parts, output);
}

void SplitKeysAttention::ExchangeStates(RunParts parts) const {
  const int rank = plan_.token_index(), size = plan_.token_parts;
  RequestSet requests(communicators_.tokens(), parts.exchange);
  ForEachPeer(rank, size, [&](int source, int destination) {
    ReceiveState(requests, states_[static_cast<size_t>(source)].view(), source);
    SendState(requests, states_[static_cast<size_t>(rank)].view(), destination);
  });
  requests.Wait("exchange of partial states", 0);
}

void SplitKeysAttention::GatherHeads(RunParts parts, const TensorView& output) const {
  const int rank = plan_.head_index(), size = plan_.head_parts;
  const auto heads_of = [&](int index) {
    const IndexRange heads = plan_.heads_of(index).query;
    return output.SliceHeads(heads.begin, heads.size());
  };
  RequestSet requests(communicators_.heads(), parts.exchange);
  ForEachPeer(rank, size, [&](int source, int destination) {
    requests.Receive({heads_of(source)}, source);
    requests.Send({heads_of(rank)}, destination);
  });
  requests.Wait("allgather of merged heads", 1);
}

size_t SplitKeysAttention::workspace_bytes() const {
  size_t bytes = kernel_.workspace_bytes();
  for (const AttentionStateBuffer& state : states_) bytes += state.size_bytes();
  return bytes;
}

}  // namespace attention
