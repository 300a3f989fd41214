#include "src/parallel/partition/communication.h"

#include "src/base/error.h"
#include "src/parallel/partition/sequence_layout.h"

namespace attention {
namespace {

using Formula = int64_t (*ExchangeRow::*)(const ExchangeSizes& sizes);

int64_t Apply(const AttentionPlan& plan, ParallelStrategy strategy, Exchange exchange,
              const ExchangeSizes& sizes, Formula formula) {
  const Phase phase = plan.problem.is_decode() ? Phase::kDecode : Phase::kPrefill;
  const ExchangeRow* row = FindExchange(phase, strategy, exchange);
  Require(row != nullptr, Name(strategy), " has no exchange ", Name(exchange), " in ", Name(phase));
  return (row->*formula)(sizes);
}

// Bytes of one token of `heads`.
void SetHeads(const AttentionProblem& problem, const HeadShare& heads, ExchangeSizes& sizes) {
  sizes.query_bytes = InputBytes(problem, heads.query.size(), 1);
  sizes.key_value_bytes = 2 * InputBytes(problem, heads.kv.size(), 1);
  sizes.output_bytes = OutputBytes(problem, heads.query.size(), 1);
  sizes.state_bytes = StateBytes(problem, heads.query.size(), 1);
}

// Decode over keys that several ranks share: every rank has the query tokens.
int64_t SplitKeys(const AttentionPlan& plan, Formula formula) {
  ExchangeSizes sizes;
  SetHeads(plan.problem, plan.heads(), sizes);
  sizes.own_tokens = plan.problem.query_tokens;
  sizes.ranks = plan.token_parts;
  const int64_t merge = Apply(plan, ParallelStrategy::kSequence, Exchange::kMerge, sizes, formula);
  sizes.ranks = plan.head_parts;
  return merge + Apply(plan, ParallelStrategy::kHeadwise, Exchange::kAllgather, sizes, formula);
}

// Everything is there from the start, and outputs are gathered, if anything is.
int64_t Outputs(const AttentionPlan& plan, Formula formula) {
  ExchangeSizes sizes;
  SetHeads(plan.problem, plan.heads(), sizes);
  sizes.ranks = plan.ranks;
  sizes.own_tokens = plan.problem.query_tokens;
  if (plan.token_parts > 1) {
    sizes.own_tokens = TokenCount(ShareOfTokens(plan.problem.query_tokens, plan.variant.sharding,
                                                plan.token_parts, plan.token_index()));
  }
  const Exchange exchange = plan.variant.exchange == Exchange::kNone ? Exchange::kNone : Exchange::kAllgather;
  return Apply(plan, ParallelStrategy::kHeadwise, exchange, sizes, formula);
}

// Among the ranks that divide the heads of this rank's token group.
int64_t Heads(const AttentionPlan& plan, Formula formula) {
  ExchangeSizes sizes;
  SetHeads(plan.problem, plan.heads(), sizes);
  sizes.ranks = plan.head_parts;
  sizes.own_tokens = TokenCount(TokensOfRank(plan, plan.rank));
  sizes.total_tokens = TokenCount(JoinTokens(TokensOfGroup(plan, plan.token_index())));
  for (int i = 0; i < plan.head_parts; ++i) {
    const HeadShare heads = plan.heads_of(i);
    if (i == plan.head_index()) continue;
    sizes.input_bytes_of_others += InputBytes(plan.problem, heads.query.size() + 2 * heads.kv.size(), 1);
  }
  return Apply(plan, ParallelStrategy::kHeadwise, Exchange::kAllToAll, sizes, formula);
}

// Between token groups.
int64_t Tokens(const AttentionPlan& plan, Formula formula) {
  const SequenceLayout layout = LayoutOf(plan);
  // Alone, a rank just computes, whatever the exchange is called.
  if (layout.size() == 1) return 0;
  ExchangeSizes sizes;
  SetHeads(plan.problem, layout.heads, sizes);
  sizes.ranks = layout.size();
  sizes.own_tokens = layout.TokensOf(layout.rank);
  sizes.left_tokens = layout.TokensOf((layout.rank + layout.size() - 1) % layout.size());
  sizes.right_tokens = layout.TokensOf((layout.rank + 1) % layout.size());
  sizes.most_tokens = layout.max_tokens();
  sizes.total_tokens = layout.total_tokens();
  sizes.carries_state = RowOf(plan.variant.algorithm).carries_state;
  return Apply(plan, ParallelStrategy::kSequence, plan.variant.exchange, sizes, formula);
}

int64_t OfPlan(const AttentionPlan& plan, Formula formula) {
  switch (plan.ends()) {
    case PlanEnds::kSplitKeys:
      return SplitKeys(plan, formula);
    case PlanEnds::kReplicated:
      return Outputs(plan, formula);
    case PlanEnds::kHeads:
      return Heads(plan, formula);
    case PlanEnds::kTokens:
      return Tokens(plan, formula) + (plan.head_parts > 1 ? Heads(plan, formula) : 0);
  }
  Fail("a plan without ends");
}

}  // namespace

int64_t BytesSent(const AttentionPlan& plan) { return OfPlan(plan, &ExchangeRow::bytes_sent); }
int64_t ExchangeBufferBytes(const AttentionPlan& plan) { return OfPlan(plan, &ExchangeRow::buffer_bytes); }

int64_t TensorBytes(const AttentionPlan& plan) {
  const AttentionProblem& problem = plan.problem;
  const HeadShare own = plan.heads();
  const auto bytes = [&](int64_t query_heads, int64_t query_tokens, int64_t kv_heads, int64_t kv_tokens) {
    return InputBytes(problem, query_heads, query_tokens) + OutputBytes(problem, query_heads, query_tokens) +
           2 * InputBytes(problem, kv_heads, kv_tokens);
  };
  const bool is_native = plan.contract == Contract::kNative;
  switch (plan.ends()) {
    case PlanEnds::kReplicated: {
      const bool gathers = plan.variant.exchange != Exchange::kNone;
      const bool keys_are_sharded = !gathers || (problem.is_decode() && is_native);
      return bytes(gathers ? problem.query_heads : own.query.size(), problem.query_tokens,
                   keys_are_sharded ? own.kv.size() : problem.kv_heads, problem.kv_tokens);
    }
    case PlanEnds::kSplitKeys: {
      if (!is_native)
        return bytes(problem.query_heads, problem.query_tokens, problem.kv_heads, problem.kv_tokens);
      const TokenSegments keys =
          ShareOfTokens(problem.kv_tokens, Sharding::kContiguous, plan.token_parts, plan.token_index());
      return bytes(problem.query_heads, problem.query_tokens, own.kv.size(), TokenCount(keys));
    }
    case PlanEnds::kHeads:
    case PlanEnds::kTokens: {
      const int64_t tokens = TokenCount(TokensOfRank(plan, plan.rank));
      return bytes(problem.query_heads, tokens, problem.kv_heads, tokens);
    }
  }
  Fail("a plan without ends");
}

int64_t MostQueryTokens(const AttentionPlan& plan) {
  const int64_t parts = plan.ends() == PlanEnds::kSplitKeys ? 1 : plan.token_parts;
  return (plan.problem.query_tokens + parts - 1) / parts;
}

}  // namespace attention
