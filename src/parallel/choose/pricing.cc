#include "src/parallel/choose/pricing.h"

#include <algorithm>
#include <cmath>

#include "src/base/error.h"
#include "src/parallel/partition/key_travel.h"
#include "src/parallel/partition/mesh.h"
#include "src/parallel/partition/reduction_tree.h"

namespace attention {

// contracts/replicated_attention.cc.
std::vector<RankTime> Pricing::Outputs() const {
  const AttentionProblem& problem = plan_.problem;
  const bool is_shared = plan_.variant.exchange == Exchange::kShared;
  const int stride = is_shared ? plan_.parts_of_node : 1;  // between the ranks that a rank sends to
  const bool gathers = plan_.variant.exchange != Exchange::kNone && plan_.ranks > stride;
  const int64_t block_bytes =
      gathers ? OutputBytes(problem, problem.query_heads, problem.query_tokens) / plan_.ranks : 0;
  std::vector<TokenSegments> by_group = QueryTokensByGroup(plan_);
  for (TokenSegments& group : by_group) group = JoinTokens({group});  // stored one after the other
  const auto queries_of = [&](const AttentionPlan& plan) -> const TokenSegments& {
    return by_group[plan.token_parts == 1 ? 0 : static_cast<size_t>(plan.token_index())];
  };
  std::vector<int64_t> bytes;
  for (int rank = 0; rank < plan_.ranks; ++rank) {
    const AttentionPlan plan = PlanOf(rank);
    const int64_t own = OutputBytes(problem, plan.heads().query.size(), TokenCount(queries_of(plan)));
    bytes.push_back(gathers ? own : 0);
  }
  const auto peers_of = [&](int rank) {
    Peers peers;
    for (int peer = rank % stride; peer < plan_.ranks; peer += stride) peers.push_back(peer);
    return peers;
  };
  const std::vector<int> crossing = Crossing(peers_of);
  const double barriers = is_shared ? 2 * Barrier() : 0;
  std::vector<RankTime> times;
  for (int rank = 0; rank < plan_.ranks; ++rank) {
    const AttentionPlan plan = PlanOf(rank);
    const size_t pieces = plan.head_pieces_of(plan.head_index(), block_bytes).size();
    const double compute = Compute(queries_of(plan), AllTokens(problem.kv_tokens), plan.heads());
    const Transfer out = Exchange(rank, peers_of(rank), static_cast<int>(pieces), crossing,
                                  [&](int from, int) { return bytes[static_cast<size_t>(from)]; });
    times.push_back({Pipeline(pieces, compute, {}, out) + barriers, compute, out.seconds + barriers});
  }
  return times;
}

// contracts/split_keys_attention.cc. Nobody is done before all partial states are there.
std::vector<RankTime> Pricing::SplitKeys() const {
  const AttentionProblem& problem = plan_.problem;
  const std::vector<int> crossing = Crossing([&](int rank) { return TokenPeers(rank); });
  const std::vector<int> crossing_heads = Crossing([&](int rank) { return HeadPeers(rank); });
  const TokenSegments queries = AllTokens(problem.query_tokens, plan_.first_query_position());
  std::vector<RankTime> times;
  double slowest = 0;
  for (int rank = 0; rank < plan_.ranks; ++rank) {
    const AttentionPlan plan = PlanOf(rank);
    const auto state_bytes = [&](int, int to) {
      return StateBytes(problem, plan.merged_heads_of(to / plan.head_parts).size(), problem.query_tokens);
    };
    const TokenSegments keys =
        ShareOfTokens(problem.kv_tokens, Sharding::kContiguous, plan.token_parts, plan.token_index());
    RankTime time;
    time.compute = Compute(queries, keys, plan.heads());
    slowest = std::max(slowest, time.compute);
    const bool is_tree = plan.variant.exchange == Exchange::kTree;
    const int64_t whole = StateBytes(problem, plan.heads().query.size(), problem.query_tokens);
    time.exchange = is_tree ? Tree(rank, whole, crossing)
                            : Exchange(rank, TokenPeers(rank), 1, crossing, state_bytes).seconds;
    if (plan.head_parts > 1 && plan.variant.exchange != Exchange::kAllToAll) {
      time.exchange += Exchange(rank, HeadPeers(rank), 1, crossing_heads, [&](int from, int) {
                         return OutputBytes(problem, PlanOf(from).heads().query.size(), problem.query_tokens);
                       }).seconds;
    }
    const int64_t merges = is_tree ? ReductionTree::Of(plan.token_parts).MostSends() : plan.token_parts - 1;
    time.end = time.exchange + Memory(merges * state_bytes(rank, rank));
    times.push_back(time);
  }
  for (RankTime& time : times) time.end += slowest;
  return times;
}

// exchanges/state_tree.cc: level by level; where there are ranks beyond the power of two, once to and once
// back.
double Pricing::Tree(int rank, int64_t bytes, const std::vector<int>& crossing) const {
  const ReductionTree tree = ReductionTree::Of(plan_.token_parts);
  const Peers members = TokenPeers(rank);
  const int index = PlanOf(rank).token_index();
  const auto link = [&](int from, int to) {
    return Link(members[static_cast<size_t>(from)], members[static_cast<size_t>(to)], 1, bytes, crossing)
        .seconds;
  };
  // An extra rank waits for the levels of the one that it handed its state to.
  const int place = tree.is_extra(index) ? index - tree.power : index;
  double seconds = 0;
  for (int level = 0; level < tree.levels; ++level) seconds += link(place, tree.Partner(place, level));
  if (tree.has_extra(place)) seconds += 2 * link(place, place + tree.power);
  return seconds;
}

// exchanges/head_exchange.cc: Q, K and V of each other's heads; and back with outputs of each other's tokens.
Transfer Pricing::HeadsIn(int rank, const std::vector<int>& crossing) const {
  return Exchange(rank, PlacePeers(rank), 3, crossing,
                  [&](int from, int to) { return InputsOf(from, PlanOf(to).heads()); });
}
Transfer Pricing::HeadsOut(int rank, const std::vector<int>& crossing) const {
  return Exchange(rank, PlacePeers(rank), 1, crossing,
                  [&](int from, int to) { return OutputsOf(to, PlanOf(from).heads()); });
}
double Pricing::OwnHeadsCopied(int rank) const {
  const HeadShare heads = PlanOf(rank).heads();
  return Memory(InputsOf(rank, heads) + OutputsOf(rank, heads));
}

// contracts/all_to_all_attention.cc, and shared_heads_attention.cc, which on one node has nothing to move.
std::vector<RankTime> Pricing::Heads() const {
  const AttentionProblem& problem = plan_.problem;
  const bool travels = HeadRun() < plan_.ranks;
  const double barriers = plan_.shares_tokens() ? 2 * Barrier() : 0;
  const std::vector<int> crossing = Crossing([&](int rank) { return PlacePeers(rank); });
  const std::vector<TokenShare> group = TokensOfGroup(plan_, 0);
  const TokenSegments queries = JoinTokens(QueriesOf(group)), keys = JoinTokens(KeysOf(group));
  const int64_t parties = plan_.ranks / HeadRun();
  const int64_t block_bytes =
      travels ? OutputBytes(problem, problem.query_heads, TokenCount(queries)) / (plan_.ranks * parties) : 0;
  std::vector<RankTime> times;
  for (int rank = 0; rank < plan_.ranks; ++rank) {
    const AttentionPlan plan = PlanOf(rank);
    const size_t pieces = plan.head_pieces_of(plan.head_index(), block_bytes).size();
    const double compute = Compute(queries, keys, plan.heads());
    const Transfer in = HeadsIn(rank, crossing), out = HeadsOut(rank, crossing);
    const double copies = travels ? OwnHeadsCopied(rank) : 0;
    times.push_back({Pipeline(pieces, compute, in, out) + copies + barriers, compute,
                     in.seconds + out.seconds + barriers});
  }
  return times;
}

// contracts/token_sharded_attention.cc: the stage, inside a head-wise all-to-all if there is a grid.
std::vector<RankTime> Pricing::Tokens() const {
  std::vector<RankTime> times = Stage();
  if (plan_.head_parts == 1) return times;
  const std::vector<int> crossing = Crossing([&](int rank) { return HeadPeers(rank); });
  for (int rank = 0; rank < plan_.ranks; ++rank) {
    RankTime& time = times[static_cast<size_t>(rank)];
    const double exchange = HeadsIn(rank, crossing).seconds + HeadsOut(rank, crossing).seconds;
    time.end += exchange + OwnHeadsCopied(rank);
    time.exchange += exchange;
  }
  return times;
}

std::vector<RankTime> Pricing::Stage() const {
  std::vector<RankTime> times(static_cast<size_t>(plan_.ranks));
  if (plan_.token_parts == 1 || plan_.variant.exchange == Exchange::kRing) {
    for (int head_index = 0; head_index < plan_.head_parts; ++head_index) Ring(head_index, times);
    return times;
  }
  const std::vector<int> crossing = Crossing([&](int rank) { return TokenPeers(rank); });
  const bool gathers = plan_.variant.exchange == Exchange::kAllgather;
  if (plan_.variant.exchange == Exchange::kMesh) {
    for (int head_index = 0; head_index < plan_.head_parts; ++head_index) Meshed(head_index, times);
    return times;
  }
  if (plan_.variant.exchange == Exchange::kShared) {
    for (int head_index = 0; head_index < plan_.head_parts; ++head_index) Shared(head_index, times);
    return times;
  }
  Require(gathers || plan_.variant.exchange == Exchange::kMerge, "nothing says what sequence(",
          Name(plan_.variant.exchange), ") takes");
  for (int rank = 0; rank < plan_.ranks; ++rank) {
    times[static_cast<size_t>(rank)] = gathers ? Gather(rank, crossing) : Merge(rank, crossing);
  }
  return times;
}

// exchanges/ring_stage.cc, all ranks that have the heads of place `head_index`, step by step.
void Pricing::Ring(int head_index, std::vector<RankTime>& times) const {
  const AttentionPlan plan = PlanOf(head_index);
  const SequenceLayout layout = LayoutOf(plan);
  const int size = layout.size();
  const Peers members = TokenPeers(head_index);
  const std::vector<int> crossing =
      Crossing([&](int rank) { return Peers{(rank + plan_.head_parts) % plan_.ranks}; });
  const int64_t token_bytes = 2 * InputBytes(plan.problem, layout.heads.kv.size(), 1);
  const auto arrivals = RingArrivals(layout, plan.problem.mask);
  std::vector<double> begin(static_cast<size_t>(size), 0);  // of the step at hand
  for (int step = 0; step < size; ++step) {
    const auto hop = static_cast<size_t>(step);
    // To `index` from its left.
    const auto arrival = [&](int index) {
      const int here = (index + size) % size, left = (here + size - 1) % size;
      if (step + 1 == size) return Transfer{};
      const int64_t bytes = token_bytes * arrivals[hop][static_cast<size_t>(here)];
      return Link(members[static_cast<size_t>(left)], members[static_cast<size_t>(here)], 2, bytes, crossing);
    };
    std::vector<double> next = begin;
    for (int index = 0; index < size; ++index) {
      const auto at = static_cast<size_t>(index);
      const auto left = static_cast<size_t>((index + size - 1) % size);
      const auto right = static_cast<size_t>((index + 1) % size);
      const double compute = Compute(layout.queries[at], KeysAt(layout, index - step), layout.heads);
      const Transfer in = arrival(index), out = arrival(index + 1);
      next[at] = begin[at] + compute + Longer(in, out).unhidden_s;
      if (in.seconds > 0) next[at] = std::max(next[at], std::max(begin[at], begin[left]) + in.seconds);
      if (out.seconds > 0) next[at] = std::max(next[at], std::max(begin[at], begin[right]) + out.seconds);
      RankTime& time = times[static_cast<size_t>(members[at])];
      time.compute += compute;
      time.exchange += in.seconds;
      time.end = next[at];
    }
    begin = next;
  }
}

// exchanges/gather_stage.cc.
RankTime Pricing::Gather(int rank, const std::vector<int>& crossing) const {
  const AttentionPlan plan = PlanOf(rank);
  const SequenceLayout layout = LayoutOf(plan);
  const int64_t token_bytes = 2 * InputBytes(plan.problem, layout.heads.kv.size(), 1);
  const Transfer travel = Exchange(rank, TokenPeers(rank), 2, crossing, [&](int from, int to) {
    const int source = from / plan.head_parts, reader = to / plan.head_parts;
    return token_bytes * TokenCount(KeysSeen(layout, plan.problem.mask, source, reader));
  });
  std::vector<TokenSegments> others = layout.keys;
  const bool own_first = RowOf(plan.variant.algorithm).carries_state;
  if (own_first) others[static_cast<size_t>(layout.rank)].clear();
  const double of_others = Compute(layout.own_queries(), JoinTokens(others), layout.heads);
  if (!own_first) {
    const double copies = Memory(token_bytes * TokenCount(layout.own_keys()));
    return {travel.seconds + copies + of_others, of_others, travel.seconds};
  }
  const double of_own = Compute(layout.own_queries(), layout.own_keys(), layout.heads);
  return {Beside(of_own, travel) + of_others, of_own + of_others, travel.seconds};
}

// exchanges/merge_stage.cc. Queries come in the order of the steps that need them.
RankTime Pricing::Merge(int rank, const std::vector<int>& crossing) const {
  const AttentionPlan plan = PlanOf(rank);
  const SequenceLayout layout = LayoutOf(plan);
  const Peers members = TokenPeers(rank);
  const int64_t query_bytes = InputBytes(plan.problem, layout.heads.query.size(), 1);
  const int64_t state_bytes = StateBytes(plan.problem, layout.heads.query.size(), 1);
  RankTime time;
  double arrived = 0, sent = 0;  // when the next queries are here, and the last partial state is away
  for (int step = 0; step < layout.size(); ++step) {
    const int owner = (layout.rank - step + layout.size()) % layout.size();
    const int next = (owner + layout.size() - 1) % layout.size();
    const double compute =
        Compute(layout.queries[static_cast<size_t>(owner)], layout.own_keys(), layout.heads);
    const int owner_rank = members[static_cast<size_t>(owner)],
              next_rank = members[static_cast<size_t>(next)];
    Transfer queries, state;
    if (step + 1 < layout.size()) {
      // While it is sent those of the next owner, its own go to the rank that needs them next.
      const int reader = members[static_cast<size_t>((layout.rank + step + 1) % layout.size())];
      queries = Longer(Link(next_rank, rank, 1, query_bytes * layout.QueriesOf(next), crossing),
                       Link(rank, reader, 1, query_bytes * layout.QueriesOf(layout.rank), crossing));
    }
    if (step > 0) {
      const int helper = members[static_cast<size_t>((layout.rank + step) % layout.size())];
      state = Longer(Link(rank, owner_rank, 1, state_bytes * layout.QueriesOf(owner), crossing),
                     Link(helper, rank, 1, state_bytes * layout.QueriesOf(layout.rank), crossing));
    }
    time.compute += compute;
    time.exchange += queries.seconds + state.seconds;
    time.end = std::max(time.end, arrived) + compute + queries.unhidden_s;
    // The state of the step before is on its way meanwhile; the last one's copies are in `sent`.
    if (step > 0 && step + 1 < layout.size()) time.end += state.unhidden_s;
    arrived += queries.seconds;
    if (step > 0) sent = std::max(sent, time.end) + state.seconds;
  }
  time.end = std::max(time.end, sent);
  time.end += Memory((layout.size() - 1) * state_bytes * layout.QueriesOf(layout.rank));
  return time;
}

// exchanges/mesh_stage.cc, all ranks that have the heads of place `head_index`.
void Pricing::Meshed(int head_index, std::vector<RankTime>& times) const {
  const AttentionPlan plan = PlanOf(head_index);
  const SequenceLayout layout = LayoutOf(plan);
  const Mesh mesh = Mesh::Of(plan.problem, layout.heads, layout.size());
  const Peers members = TokenPeers(head_index);
  const auto ranks_of = [&](const std::vector<int>& indices) {
    Peers ranks;
    for (int index : indices) ranks.push_back(members[static_cast<size_t>(index)]);
    return ranks;
  };
  const auto index_of = [&](int rank) { return rank / plan.head_parts; };
  const std::vector<int> crossing = Crossing([&](int rank) { return TokenPeers(rank); });
  const int64_t query_bytes = InputBytes(plan.problem, layout.heads.query.size(), 1);
  const int64_t state_bytes = StateBytes(plan.problem, layout.heads.query.size(), 1);
  const int64_t key_bytes = 2 * InputBytes(plan.problem, layout.heads.kv.size(), 1);
  const auto seen = [&](int source, int reader) {
    return KeysSeenByAny(layout, plan.problem.mask, source, mesh.RowOf(reader));
  };
  for (int index = 0; index < layout.size(); ++index) {
    const int rank = members[static_cast<size_t>(index)];
    const Peers row = ranks_of(mesh.RowOf(index));
    Transfer in = Exchange(rank, row, 1, crossing,
                           [&](int from, int) { return query_bytes * layout.QueriesOf(index_of(from)); });
    in += Exchange(rank, ranks_of(mesh.ColumnOf(index)), 2, crossing, [&](int from, int to) {
      return key_bytes * TokenCount(seen(index_of(from), index_of(to)));
    });
    const Transfer states = Exchange(
        rank, row, 1, crossing, [&](int, int to) { return state_bytes * layout.QueriesOf(index_of(to)); });
    std::vector<TokenSegments> column;
    for (int source : mesh.ColumnOf(index)) {
      if (source != index) column.push_back(seen(source, index));
    }
    const TokenSegments gathered = JoinTokens(column);
    const TokenSegments& own_keys = layout.keys[static_cast<size_t>(index)];
    double over_own = 0, over_gathered = 0, last = 0;
    for (int member : mesh.RowOf(index)) {
      const TokenSegments& queries = layout.queries[static_cast<size_t>(member)];
      over_own += Compute(queries, own_keys, layout.heads);
      (member == index ? last : over_gathered) += Compute(queries, gathered, layout.heads);
    }
    const double merges = Memory((mesh.columns - 1) * state_bytes * layout.QueriesOf(index));
    times[static_cast<size_t>(rank)] = {Beside(over_own, in) + over_gathered + Beside(last, states) + merges,
                                        over_own + over_gathered + last, in.seconds + states.seconds};
  }
}

// exchanges/shared_stage.cc, all ranks that have the heads of place `head_index`. Nodes keep step with their
// slowest rank, and each with the node it gets keys from.
void Pricing::Shared(int head_index, std::vector<RankTime>& times) const {
  const AttentionPlan plan = PlanOf(head_index);
  const SequenceLayout layout = LayoutOf(plan);
  const int size = plan.parts_of_node, nodes = layout.size() / size;
  const Peers members = TokenPeers(head_index);
  const std::vector<int> crossing =
      Crossing([&](int rank) { return Peers{(rank + size * plan_.head_parts) % plan_.ranks}; });
  const int64_t token_bytes = 2 * InputBytes(plan.problem, layout.heads.kv.size(), 1);
  std::vector<std::vector<std::vector<int64_t>>> arrivals;  // [place][hop][node]
  for (int place = 0; place < size; ++place) {
    arrivals.push_back(RingArrivals(LayoutAtPlace(layout, size, place), plan.problem.mask));
  }
  const double barrier = Barrier();
  std::vector<double> begin(static_cast<size_t>(nodes), 0);  // of the step at hand, by node
  for (int step = 0; step < nodes; ++step) {
    std::vector<double> next(begin.size(), 0);
    for (int index = 0; index < layout.size(); ++index) {
      const auto node = static_cast<size_t>(index / size), place = static_cast<size_t>(index % size);
      const size_t left = (node + begin.size() - 1) % begin.size();
      const int from = (index - size + layout.size()) % layout.size();
      const size_t right = (node + 1) % begin.size();
      const auto arrival = [&](int sender, int reader, size_t reading_node) {
        if (step + 1 == nodes) return Transfer{};
        return Link(members[static_cast<size_t>(sender)], members[static_cast<size_t>(reader)], 2,
                    token_bytes * arrivals[place][static_cast<size_t>(step)][reading_node], crossing);
      };
      const Transfer in = arrival(from, index, node);
      const Transfer out = arrival(index, (index + size) % layout.size(), right);
      const int source = (static_cast<int>(node) - step + nodes) % nodes * size;
      const std::vector<TokenSegments> keys(layout.keys.begin() + source,
                                            layout.keys.begin() + source + size);
      // The last step is one call of the kernel, the others are one for each shard.
      const TokenSegments& queries = layout.queries[static_cast<size_t>(index)];
      double compute = 0;
      if (step + 1 == nodes) compute = Compute(queries, JoinTokens(keys), layout.heads);
      for (size_t i = 0; i < keys.size() && step + 1 < nodes; ++i) {
        compute += Compute(queries, keys[i], layout.heads);
      }
      double end = begin[node] + compute + Longer(in, out).unhidden_s;
      if (in.seconds > 0) end = std::max(end, std::max(begin[node], begin[left]) + in.seconds);
      if (out.seconds > 0) end = std::max(end, std::max(begin[node], begin[right]) + out.seconds);
      next[node] = std::max(next[node], end);
      RankTime& time = times[static_cast<size_t>(members[static_cast<size_t>(index)])];
      time.compute += compute;
      time.exchange += in.seconds + barrier;
    }
    for (double& end : next) end += barrier;
    begin = next;
  }
  for (int index = 0; index < layout.size(); ++index) {
    RankTime& time = times[static_cast<size_t>(members[static_cast<size_t>(index)])];
    time.exchange += barrier;
    time.end = begin[static_cast<size_t>(index / size)] + barrier;
  }
}

}  // namespace attention
