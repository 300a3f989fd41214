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
      kernel_(plan, plan.heads(), plan.problem.query_tokens, TokenCount(OwnKeys(plan))),
      scatters_(plan.variant.exchange == Exchange::kAllToAll) {
  SplitKeysAttention::PlaceTokens();
  const AttentionProblem& problem = plan_.problem;
  const auto state_of = [&](int64_t heads) {
    return AttentionStateBuffer(problem.batch, heads, problem.query_tokens, problem.head_dim);
  };
  if (plan_.variant.exchange == Exchange::kTree) {
    tree_.emplace(communicators_.tokens(), plan_.token_parts, problem.batch, plan_.merged_heads().size(),
                  problem.query_tokens, problem.head_dim);
    return;
  }
  if (scatters_) all_heads_ = state_of(plan_.heads().query.size());
  for (int i = 0; i < plan_.token_parts; ++i) states_.push_back(state_of(plan_.merged_heads().size()));
}

void SplitKeysAttention::PlaceTokens() {
  const AttentionProblem& problem = plan_.problem;
  const HeadShare own = plan_.heads();
  query_tokens_ = AllTokens(problem.query_tokens, plan_.first_query_position());
  key_tokens_ = OwnKeys(plan_);
  query_shard_ = {0, problem.query_heads, query_tokens_};
  output_shard_ = query_shard_;
  if (scatters_) {
    output_shard_.head_begin = plan_.merged_heads().begin;
    output_shard_.head_count = plan_.merged_heads().size();
  }
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
                      .state = computed(),
                      .last = false},
                     {});
  const AttentionStateView reduced = ReducedState(parts);
  if (parts.compute) {
    const IndexRange merged = plan_.merged_heads();
    FinishState(reduced, output.SliceHeads(merged.begin - output_shard_.head_begin, merged.size()));
  }
  if (plan_.head_parts > 1 && !scatters_) GatherHeads(parts, output);
}

AttentionStateView SplitKeysAttention::ReducedState(RunParts parts) {
  if (tree_) return tree_->Run(parts);
  ExchangeStates(parts);
  for (size_t i = 1; i < states_.size() && parts.compute; ++i) {
    MergeState(states_[0].view(), states_[i].view());
  }
  return states_[0].view();
}

void SplitKeysAttention::ExchangeStates(RunParts parts) const {
  const int rank = plan_.token_index(), size = plan_.token_parts;
  RequestSet requests(communicators_.tokens(), parts.exchange);
  const int64_t first_head = plan_.heads().query.begin;
  ForEachPeer(rank, size, [&](int source, int destination) {
    ReceiveState(requests, states_[static_cast<size_t>(source)].view(), source);
    const IndexRange heads = plan_.merged_heads_of(destination);
    SendHeadsOfState(requests, computed(), heads.begin - first_head, heads.size(), destination);
  });
  if (scatters_) {
    CopyHeadsOfState(requests, computed(), plan_.merged_heads().begin - first_head,
                     states_[static_cast<size_t>(rank)].view());
  }
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
  size_t bytes = kernel_.workspace_bytes() + all_heads_.size_bytes() + (tree_ ? tree_->size_bytes() : 0);
  for (const AttentionStateBuffer& state : states_) bytes += state.size_bytes();
  return bytes;
}

}  // namespace attention
