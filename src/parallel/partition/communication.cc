#include "src/parallel/partition/communication.h"

#include <algorithm>

#include "src/base/error.h"
#include "src/parallel/partition/key_travel.h"
#include "src/parallel/partition/sequence_layout.h"

namespace attention {
namespace {

// Plans for more ranks than this are priced as without a mask, and as if tokens were dealt by number, which
// has the same tokens per rank or a few per cent less: of each pair of ranks the keys would have to be looked
// at, and a plan can ask for a million.
constexpr int kMostRanksLookedAt = 1024;

// For estimates.
AttentionPlan Priced(AttentionPlan plan) {
  if (plan.ranks > kMostRanksLookedAt) plan.variant.sharding = Sharding::kContiguous;
  return plan;
}

using Formula = int64_t (*ExchangeRow::*)(const ExchangeSizes& sizes);

// Of the plan's rank; or the most of any rank, with the heads of the plan's.
enum class Whose { kOwn, kMost };

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
int64_t SplitKeys(const AttentionPlan& plan, Formula formula, Whose whose) {
  ExchangeSizes sizes;
  SetHeads(plan.problem, plan.heads(), sizes);
  sizes.own_tokens = plan.problem.query_tokens;
  sizes.ranks = plan.token_parts;
  // Who merges the fewest heads, the last rank, sends the most of its states.
  const bool is_last = whose == Whose::kMost && formula == &ExchangeRow::bytes_sent;
  const int merger = is_last ? plan.token_parts - 1 : plan.token_index();
  sizes.kept_state_bytes = StateBytes(plan.problem, plan.merged_heads_of(merger).size(), 1);
  const int64_t merge = Apply(plan, ParallelStrategy::kSequence, plan.variant.exchange, sizes, formula);
  if (plan.variant.exchange == Exchange::kAllToAll) return merge;
  sizes.ranks = plan.head_parts;
  return merge + Apply(plan, ParallelStrategy::kHeadwise, Exchange::kAllgather, sizes, formula);
}

int64_t MostOf(const std::vector<TokenSegments>& shares) {
  int64_t most = 0;
  for (const TokenSegments& share : shares) most = std::max(most, TokenCount(share));
  return most;
}

// Formulas are linear in the rank's own tokens and may fall with them: of the rank with the fewest or of the
// one with the most.
int64_t LargestOf(const AttentionPlan& plan, ParallelStrategy strategy, Exchange exchange,
                  ExchangeSizes sizes, Formula formula, const std::vector<TokenSegments>& shares) {
  int64_t largest = 0, fewest = sizes.total_tokens;
  for (const TokenSegments& share : shares) fewest = std::min(fewest, TokenCount(share));
  for (int64_t own : {fewest, MostOf(shares)}) {
    sizes.own_tokens = own;
    largest = std::max(largest, Apply(plan, strategy, exchange, sizes, formula));
  }
  return largest;
}

// Everything is there from the start, and outputs are gathered, if anything is.
int64_t Outputs(const AttentionPlan& plan, Formula formula, Whose whose) {
  ExchangeSizes sizes;
  SetHeads(plan.problem, plan.heads(), sizes);
  sizes.ranks = plan.ranks;
  sizes.own_tokens = plan.problem.query_tokens;
  if (plan.token_parts > 1) {
    const std::vector<TokenSegments> groups = QueryTokensByGroup(plan);
    sizes.own_tokens =
        whose == Whose::kMost ? MostOf(groups) : TokenCount(groups[static_cast<size_t>(plan.token_index())]);
  }
  const Exchange exchange = plan.variant.exchange == Exchange::kNone ? Exchange::kNone : Exchange::kAllgather;
  return Apply(plan, ParallelStrategy::kHeadwise, exchange, sizes, formula);
}

// Among the ranks that divide the heads of this rank's token group.
int64_t Heads(const AttentionPlan& plan, Formula formula, Whose whose) {
  ExchangeSizes sizes;
  SetHeads(plan.problem, plan.heads(), sizes);
  sizes.ranks = plan.head_parts;
  const std::vector<TokenSegments> group = TokensOfGroup(plan, plan.token_index());
  sizes.own_tokens = TokenCount(group[static_cast<size_t>(plan.head_index())]);
  for (const TokenSegments& member : group) sizes.total_tokens += TokenCount(member);
  for (int i = 0; i < plan.head_parts; ++i) {
    const HeadShare heads = plan.heads_of(i);
    if (i == plan.head_index()) continue;
    sizes.input_bytes_of_others += InputBytes(plan.problem, heads.query.size() + 2 * heads.kv.size(), 1);
  }
  constexpr ParallelStrategy kStrategy = ParallelStrategy::kHeadwise;
  if (whose == Whose::kMost) return LargestOf(plan, kStrategy, Exchange::kAllToAll, sizes, formula, group);
  return Apply(plan, kStrategy, Exchange::kAllToAll, sizes, formula);
}

KeyTravel WithoutMask(const SequenceLayout& layout, Exchange exchange, bool with_own) {
  const int64_t others = layout.total_tokens() - layout.TokensOf(layout.size() - 1);
  const int64_t most = layout.max_tokens(), peers = layout.size() - 1;
  const std::vector<int64_t> sent = {exchange == Exchange::kRing ? others : most * peers};
  const std::vector<int64_t> held = {exchange == Exchange::kRing ? std::min<int64_t>(2, peers) * most
                                     : with_own                  ? layout.total_tokens()
                                                                 : others};
  return {sent, held};
}

// Keys and values that travel, of one rank or the most of any.
void SetKeyTravel(const AttentionPlan& plan, const SequenceLayout& layout, Whose whose,
                  ExchangeSizes& sizes) {
  const Mask& mask = plan.problem.mask;
  const bool with_own = !sizes.carries_state, too_many = layout.size() > kMostRanksLookedAt;
  const KeyTravel travel = whose == Whose::kMost && too_many
                               ? WithoutMask(layout, plan.variant.exchange, with_own)
                           : plan.variant.exchange == Exchange::kRing ? RingTravel(layout, mask)
                                                                      : GatherTravel(layout, mask, with_own);
  const auto of = [&](const std::vector<int64_t>& by_rank) {
    return whose == Whose::kMost ? std::ranges::max(by_rank) : by_rank[static_cast<size_t>(layout.rank)];
  };
  sizes.keys_sent = of(travel.sent);
  sizes.keys_held = of(travel.held);
}

// Between token groups.
int64_t Tokens(const AttentionPlan& plan, Formula formula, Whose whose) {
  const SequenceLayout layout = LayoutOf(plan);
  // Alone, a rank just computes, whatever the exchange is called.
  if (layout.size() == 1) return 0;
  ExchangeSizes sizes;
  SetHeads(plan.problem, layout.heads, sizes);
  sizes.ranks = layout.size();
  sizes.own_tokens = layout.TokensOf(layout.rank);
  sizes.total_tokens = layout.total_tokens();
  sizes.carries_state = RowOf(plan.variant.algorithm).carries_state;
  if (plan.variant.exchange != Exchange::kMerge) SetKeyTravel(plan, layout, whose, sizes);
  if (whose == Whose::kMost)
    return LargestOf(plan, ParallelStrategy::kSequence, plan.variant.exchange, sizes, formula, layout.tokens);
  return Apply(plan, ParallelStrategy::kSequence, plan.variant.exchange, sizes, formula);
}

int64_t OfPlan(const AttentionPlan& plan, Formula formula, Whose whose = Whose::kOwn) {
  switch (plan.ends()) {
    case PlanEnds::kSplitKeys:
      return SplitKeys(plan, formula, whose);
    case PlanEnds::kReplicated:
      return Outputs(plan, formula, whose);
    case PlanEnds::kHeads:
      return Heads(plan, formula, whose);
    case PlanEnds::kTokens:
      return Tokens(plan, formula, whose) + (plan.head_parts > 1 ? Heads(plan, formula, whose) : 0);
  }
  Fail("a plan without ends");
}

}  // namespace

int64_t BytesSent(const AttentionPlan& plan) { return OfPlan(plan, &ExchangeRow::bytes_sent); }
int64_t MostBytesSent(const AttentionPlan& plan) {
  return OfPlan(Priced(plan), &ExchangeRow::bytes_sent, Whose::kMost);
}
int64_t ExchangeBufferBytes(const AttentionPlan& plan) { return OfPlan(plan, &ExchangeRow::buffer_bytes); }
int64_t MostExchangeBufferBytes(const AttentionPlan& plan) {
  return OfPlan(Priced(plan), &ExchangeRow::buffer_bytes, Whose::kMost);
}

namespace {

// Of a rank that owns so many tokens, where tokens are dealt.
int64_t TensorBytesWith(const AttentionPlan& plan, int64_t own_tokens) {
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
      const int64_t other_heads =
          plan.variant.exchange == Exchange::kAllToAll ? problem.query_heads - plan.merged_heads().size() : 0;
      const TokenSegments keys =
          ShareOfTokens(problem.kv_tokens, Sharding::kContiguous, plan.token_parts, plan.token_index());
      return bytes(problem.query_heads, problem.query_tokens, own.kv.size(), TokenCount(keys)) -
             OutputBytes(problem, other_heads, problem.query_tokens);
    }
    case PlanEnds::kHeads:
    case PlanEnds::kTokens:
      return bytes(problem.query_heads, own_tokens, problem.kv_heads, own_tokens);
  }
  Fail("a plan without ends");
}

bool DealsTokens(const AttentionPlan& plan) {
  return plan.ends() == PlanEnds::kHeads || plan.ends() == PlanEnds::kTokens;
}

}  // namespace

int64_t TensorBytes(const AttentionPlan& plan) {
  return TensorBytesWith(plan, DealsTokens(plan) ? TokenCount(TokensOfRank(plan, plan.rank)) : 0);
}

int64_t MostTensorBytes(const AttentionPlan& plan) {
  const AttentionPlan priced = Priced(plan);
  if (!DealsTokens(plan) || priced.variant.sharding != Sharding::kBalanced) return TensorBytes(priced);
  return TensorBytesWith(plan, MostOf(TokensByRank(plan)));
}

int64_t MostQueryTokens(const AttentionPlan& plan) {
  if (Priced(plan).variant.sharding != Sharding::kBalanced) {
    const int64_t parts = plan.ends() == PlanEnds::kSplitKeys ? 1 : plan.token_parts;
    return (plan.problem.query_tokens + parts - 1) / parts;
  }
  return plan.ends() == PlanEnds::kReplicated ? MostOf(QueryTokensByGroup(plan))
                                              : LayoutOf(plan).max_tokens();
}

}  // namespace attention
