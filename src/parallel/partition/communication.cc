#include "src/parallel/partition/communication.h"

#include <algorithm>

#include "src/base/error.h"
#include "src/parallel/partition/key_travel.h"
#include "src/parallel/partition/mesh.h"
#include "src/parallel/partition/reduction_tree.h"
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
  const ReductionTree tree = ReductionTree::Of(plan.token_parts);
  sizes.states_sent = whose == Whose::kMost ? tree.MostSends() : tree.SendsOf(plan.token_index());
  // Who merges the fewest heads, the last rank, sends the most of its states.
  const bool is_last = whose == Whose::kMost && formula == &ExchangeRow::bytes_sent;
  const int merger = is_last ? plan.token_parts - 1 : plan.token_index();
  sizes.kept_state_bytes = StateBytes(plan.problem, plan.merged_heads_of(merger).size(), 1);
  const int64_t merge = Apply(plan, ParallelStrategy::kSequence, plan.variant.exchange, sizes, formula);
  if (plan.variant.exchange == Exchange::kAllToAll) return merge;
  sizes.ranks = plan.head_parts;
  return merge + Apply(plan, ParallelStrategy::kHeadwise, Exchange::kAllgather, sizes, formula);
}

// Of the rank for which it comes to most.
int64_t LargestOf(const AttentionPlan& plan, ParallelStrategy strategy, Exchange exchange,
                  ExchangeSizes sizes, Formula formula, const std::vector<TokenSegments>& queries,
                  const std::vector<TokenSegments>& keys) {
  int64_t largest = 0;
  for (size_t r = 0; r < queries.size(); ++r) {
    sizes.own_tokens = TokenCount(queries[r]);
    sizes.own_keys = TokenCount(keys[r]);
    largest = std::max(largest, Apply(plan, strategy, exchange, sizes, formula));
  }
  return largest;
}

// Everything is there from the start, and outputs are gathered, if anything is.
int64_t Outputs(const AttentionPlan& plan, Formula formula, Whose whose) {
  ExchangeSizes sizes;
  SetHeads(plan.problem, plan.heads(), sizes);
  sizes.ranks = plan.variant.exchange == Exchange::kShared ? plan.ranks / plan.parts_of_node : plan.ranks;
  sizes.own_tokens = plan.problem.query_tokens;
  if (plan.token_parts > 1) {
    const std::vector<TokenSegments> groups = QueryTokensByGroup(plan);
    sizes.own_tokens =
        whose == Whose::kMost ? MostOf(groups) : TokenCount(groups[static_cast<size_t>(plan.token_index())]);
  }
  const Exchange exchange = plan.variant.exchange == Exchange::kNone ? Exchange::kNone : Exchange::kAllgather;
  return Apply(plan, ParallelStrategy::kHeadwise, exchange, sizes, formula);
}

// Among the ranks that divide the heads of this rank's token group; or, where nodes share their tokens, among
// those in this rank's place on every node.
int64_t Heads(const AttentionPlan& plan, Formula formula, Whose whose) {
  const int stride = plan.shares_tokens() ? plan.parts_of_node : 1, own = plan.head_index() / stride;
  ExchangeSizes sizes;
  SetHeads(plan.problem, plan.heads(), sizes);
  sizes.ranks = plan.head_parts / stride;
  const std::vector<TokenShare> parties =
      plan.shares_tokens() ? TokensByNode(plan) : TokensOfGroup(plan, plan.token_index());
  const std::vector<TokenSegments> queries = QueriesOf(parties), keys = KeysOf(parties);
  sizes.own_tokens = TokenCount(queries[static_cast<size_t>(own)]);
  sizes.own_keys = TokenCount(keys[static_cast<size_t>(own)]);
  sizes.total_tokens = TotalOf(queries);
  sizes.total_keys = TotalOf(keys);
  for (int party = 0; party < sizes.ranks; ++party) {
    if (party == own) continue;
    const HeadShare heads = plan.heads_of(party * stride + plan.head_index() % stride);
    sizes.query_bytes_of_others += InputBytes(plan.problem, heads.query.size(), 1);
    sizes.key_value_bytes_of_others += 2 * InputBytes(plan.problem, heads.kv.size(), 1);
  }
  constexpr ParallelStrategy kStrategy = ParallelStrategy::kHeadwise;
  if (whose == Whose::kMost) {
    return LargestOf(plan, kStrategy, Exchange::kAllToAll, sizes, formula, queries, keys);
  }
  return Apply(plan, kStrategy, Exchange::kAllToAll, sizes, formula);
}

KeyTravel WithoutMask(const SequenceLayout& layout, Exchange exchange, const Mesh& mesh, int ranks_of_node,
                      bool with_own) {
  const int64_t total = TotalOf(layout.keys), others = total - layout.KeysOf(layout.size() - 1);
  const int64_t most = MostOf(layout.keys), peers = layout.size() - 1;
  if (exchange == Exchange::kMesh) {
    const int64_t column = most * (mesh.rows - 1);
    return {{column}, {column}};
  }
  if (exchange == Exchange::kShared) {
    const int64_t hops = layout.size() / ranks_of_node - 1;
    return {{most * hops}, {most * std::min<int64_t>(2, hops)}};
  }
  const std::vector<int64_t> sent = {exchange == Exchange::kRing ? others : most * peers};
  const std::vector<int64_t> held = {exchange == Exchange::kRing ? std::min<int64_t>(2, peers) * most
                                     : with_own                  ? total
                                                                 : others};
  return {sent, held};
}

// Keys and values that travel, of one rank or the most of any.
void SetKeyTravel(const AttentionPlan& plan, const SequenceLayout& layout, Whose whose,
                  ExchangeSizes& sizes) {
  const Mask& mask = plan.problem.mask;
  const bool with_own = !sizes.carries_state, too_many = layout.size() > kMostRanksLookedAt;
  const auto travel_of = [&] {
    const Exchange exchange = plan.variant.exchange;
    const Mesh mesh = Mesh::Of(plan.problem, layout.heads, layout.size());
    if (whose == Whose::kMost && too_many) {
      return WithoutMask(layout, exchange, mesh, plan.parts_of_node, with_own);
    }
    if (exchange == Exchange::kRing) return RingTravel(layout, mask);
    if (exchange == Exchange::kShared) return SharedTravel(layout, mask, plan.parts_of_node);
    if (exchange == Exchange::kMesh) return MeshTravel(layout, mask, mesh);
    return GatherTravel(layout, mask, with_own);
  };
  const KeyTravel travel = travel_of();
  const auto of = [&](const std::vector<int64_t>& by_rank) {
    return whose == Whose::kMost ? std::ranges::max(by_rank) : by_rank[static_cast<size_t>(layout.rank)];
  };
  sizes.keys_sent = of(travel.sent);
  sizes.keys_held = of(travel.held);
  // In a grid its own come from others first, and are copied to where the node reads them.
  if (plan.variant.exchange == Exchange::kShared && plan.head_parts > 1) {
    sizes.keys_held += whose == Whose::kMost ? MostOf(layout.keys) : layout.KeysOf(layout.rank);
  }
}

// Of a mesh: of the rank in its row, or the most of any.
int64_t Meshed(const AttentionPlan& plan, const SequenceLayout& layout, Formula formula, Whose whose,
               ExchangeSizes sizes) {
  const Mesh mesh = Mesh::Of(plan.problem, layout.heads, layout.size());
  sizes.row_ranks = mesh.columns;
  const auto of_row = [&](int rank) {
    sizes.row_tokens = 0;
    for (int member : mesh.RowOf(rank)) sizes.row_tokens += layout.QueriesOf(member);
  };
  const auto of_rank = [&](int rank) {
    sizes.own_tokens = layout.QueriesOf(rank);
    return Apply(plan, ParallelStrategy::kSequence, Exchange::kMesh, sizes, formula);
  };
  of_row(layout.rank);
  if (whose == Whose::kOwn) return of_rank(layout.rank);
  int64_t most = 0;
  for (int rank = 0; rank < layout.size(); ++rank) {
    if (rank % mesh.columns == 0) of_row(rank);
    most = std::max(most, of_rank(rank));
  }
  return most;
}

// Between token groups.
int64_t Tokens(const AttentionPlan& plan, Formula formula, Whose whose) {
  const SequenceLayout layout = LayoutOf(plan);
  // Alone, a rank just computes, whatever the exchange is called.
  if (layout.size() == 1) return 0;
  ExchangeSizes sizes;
  SetHeads(plan.problem, layout.heads, sizes);
  sizes.ranks = layout.size();
  sizes.own_tokens = layout.QueriesOf(layout.rank);
  sizes.total_tokens = TotalOf(layout.queries);
  sizes.carries_state = RowOf(plan.variant.algorithm).carries_state;
  if (plan.variant.exchange != Exchange::kMerge) SetKeyTravel(plan, layout, whose, sizes);
  if (plan.variant.exchange == Exchange::kMesh) return Meshed(plan, layout, formula, whose, sizes);
  if (whose == Whose::kMost) {
    return LargestOf(plan, ParallelStrategy::kSequence, plan.variant.exchange, sizes, formula, layout.queries,
                     layout.keys);
  }
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

// Of a rank that owns so many queries and keys, where tokens are dealt.
int64_t TensorBytesWith(const AttentionPlan& plan, int64_t own_queries, int64_t own_keys) {
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
      return bytes(problem.query_heads, own_queries, problem.kv_heads, own_keys);
  }
  Fail("a plan without ends");
}

bool DealsTokens(const AttentionPlan& plan) {
  return plan.ends() == PlanEnds::kHeads || plan.ends() == PlanEnds::kTokens;
}

}  // namespace

int64_t TensorBytes(const AttentionPlan& plan) {
  if (!DealsTokens(plan)) return TensorBytesWith(plan, 0, 0);
  const TokenShare own = TokensOfRank(plan, plan.rank);
  return TensorBytesWith(plan, TokenCount(own.queries), TokenCount(own.keys));
}

int64_t MostTensorBytes(const AttentionPlan& plan) {
  const AttentionPlan priced = Priced(plan);
  if (!DealsTokens(plan) || priced.variant.sharding != Sharding::kBalanced) return TensorBytes(priced);
  const int64_t most = MostOf(QueriesOf(TokensByRank(plan)));  // keys are the same tokens
  return TensorBytesWith(plan, most, most);
}

int64_t MostQueryTokens(const AttentionPlan& plan) {
  if (Priced(plan).variant.sharding != Sharding::kBalanced) {
    const int64_t parts = plan.ends() == PlanEnds::kSplitKeys ? 1 : plan.token_parts;
    return (plan.problem.query_tokens + parts - 1) / parts;
  }
  return plan.ends() == PlanEnds::kReplicated ? MostOf(QueryTokensByGroup(plan))
                                              : LayoutOf(plan).max_queries();
}

}  // namespace attention
