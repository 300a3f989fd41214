// What a plan takes, rank by rank, following the code of exchanges/ and contracts/: the arithmetic behind
// cost_model.h, which says what it assumes.
#ifndef SRC_PARALLEL_CHOOSE_PRICING_H_
#define SRC_PARALLEL_CHOOSE_PRICING_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "src/base/error.h"
#include "src/parallel/choose/cost_model.h"
#include "src/parallel/partition/attention_plan.h"
#include "src/parallel/partition/sequence_layout.h"
#include "src/parallel/partition/visible_pairs.h"

namespace attention {

using StepClock = std::function<double(const KernelStep& step)>;

struct Transfer {
  double seconds = 0;
  double unhidden_s = 0;  // computing beside it becomes longer by so much

  Transfer& operator+=(const Transfer& other) {
    seconds += other.seconds;
    unhidden_s += other.unhidden_s;
    return *this;
  }
  Transfer Part(double share) const { return {seconds * share, unhidden_s * share}; }
};

inline Transfer Longer(const Transfer& a, const Transfer& b) { return a.seconds < b.seconds ? b : a; }

inline double Beside(double compute, const Transfer& transfer) {
  return std::max(compute + transfer.unhidden_s, transfer.seconds);
}

// What one rank spends.
struct RankTime {
  double end = 0;
  double compute = 0;
  double exchange = 0;
};

// `pieces` alike pieces of work; of each `in` travels before it, and `out` behind it.
inline double Pipeline(size_t pieces, double compute, const Transfer& in, const Transfer& out) {
  const double share = 1 / static_cast<double>(pieces);
  Transfer both = in.Part(share);
  both += out.Part(share);
  return in.seconds * share + static_cast<double>(pieces - 1) * Beside(compute * share, both) +
         compute * share + out.seconds * share;
}

// One variant on one machine.
class Pricing {
 public:
  Pricing(const AttentionPlan& plan, const std::vector<int>& node_of_rank, const Rates& rates,
          const StepClock& clock)
      : plan_(plan), nodes_(node_of_rank), rates_(rates), clock_(clock) {
    // Dealt once: every pair of ranks asks.
    if (plan.ends() == PlanEnds::kHeads || plan.ends() == PlanEnds::kTokens) tokens_ = TokensByRank(plan);
  }

  std::vector<RankTime> Run() {
    switch (plan_.ends()) {
      case PlanEnds::kReplicated:
        return Outputs();
      case PlanEnds::kSplitKeys:
        return SplitKeys();
      case PlanEnds::kHeads:
        return Heads();
      case PlanEnds::kTokens:
        return Tokens();
    }
    Fail("a plan without ends");
  }

 private:
  using Peers = std::vector<int>;

  AttentionPlan PlanOf(int rank) const {
    AttentionPlan plan = plan_;
    plan.rank = rank;
    return plan;
  }
  size_t node_of(int rank) const { return static_cast<size_t>(nodes_[static_cast<size_t>(rank)]); }

  // The ranks that share the heads, or the tokens, of `rank`'s group, itself included, in the group's order.
  Peers HeadPeers(int rank) const {
    Peers peers;
    for (int i = 0; i < plan_.head_parts; ++i) peers.push_back(rank - rank % plan_.head_parts + i);
    return peers;
  }
  Peers TokenPeers(int rank) const {
    Peers peers;
    for (int i = 0; i < plan_.token_parts; ++i)
      peers.push_back(rank % plan_.head_parts + i * plan_.head_parts);
    return peers;
  }
  // So many neighbours have their tokens in common, and exchange heads with those in their place on other
  // nodes.
  int HeadRun() const { return plan_.shares_tokens() ? plan_.parts_of_node : 1; }
  Peers PlacePeers(int rank) const {
    const Peers all = HeadPeers(rank);
    Peers peers;
    for (int i = rank % plan_.head_parts % HeadRun(); i < plan_.head_parts; i += HeadRun()) {
      peers.push_back(all[static_cast<size_t>(i)]);
    }
    return peers;
  }
  // Of the ranks of a node: a message to and fro for each doubling of them.
  double Barrier() const {
    return 2 * std::ceil(std::log2(plan_.parts_of_node)) * rates_.within_node.latency_s;
  }

  // How many ranks of each node send to another one, if each sends to the ranks that `peers_of` names.
  template <typename PeersOf>
  std::vector<int> Crossing(PeersOf peers_of) const {
    std::vector<int> crossing(nodes_.size(), 0);
    for (int rank = 0; rank < plan_.ranks; ++rank) {
      const Peers peers = peers_of(rank);
      crossing[node_of(rank)] +=
          std::any_of(peers.begin(), peers.end(), [&](int peer) { return node_of(peer) != node_of(rank); });
    }
    return crossing;
  }

  Transfer Link(int from, int to, int messages, int64_t bytes, const std::vector<int>& crossing) const {
    if (bytes == 0 || from == to) return {};
    const bool is_within = node_of(from) == node_of(to);
    const LinkRate& rate = is_within ? rates_.within_node : rates_.across_nodes;
    const int sharing = is_within ? 1 : std::max({1, crossing[node_of(from)], crossing[node_of(to)]});
    const double seconds =
        messages * rate.latency_s + static_cast<double>(bytes) * sharing / rate.bytes_per_second;
    return {seconds, seconds * rate.unhidden};
  }

  // Of one rank with its peers, one after the other: what it sends or what it receives, whichever is longer.
  template <typename BytesBetween>
  Transfer Exchange(int rank, const Peers& peers, int messages, const std::vector<int>& crossing,
                    BytesBetween bytes_between) const {
    Transfer sent, received;
    for (int peer : peers) {
      if (peer == rank) continue;
      sent += Link(rank, peer, messages, bytes_between(rank, peer), crossing);
      received += Link(peer, rank, messages, bytes_between(peer, rank), crossing);
    }
    return Longer(sent, received);
  }

  double Compute(const TokenSegments& queries, const TokenSegments& keys, const HeadShare& heads) const {
    KernelStep step = {plan_.variant.algorithm, queries, keys, heads.query.size(), heads.kv.size(), 0};
    if (step.query_heads == 0 || TokenCount(queries) == 0 || TokenCount(keys) == 0) return 0;
    step.pairs = VisiblePairs(queries, keys, plan_.problem.mask);
    return step.pairs == 0 ? 0 : clock_(step);
  }
  double Memory(int64_t bytes) const { return static_cast<double>(bytes) / rates_.memory_bytes_per_second; }

  std::vector<RankTime> Outputs() const;
  std::vector<RankTime> SplitKeys() const;
  double Tree(int rank, int64_t bytes, const std::vector<int>& crossing) const;
  std::vector<RankTime> Heads() const;
  std::vector<RankTime> Tokens() const;
  Transfer HeadsIn(int rank, const std::vector<int>& crossing) const;
  Transfer HeadsOut(int rank, const std::vector<int>& crossing) const;
  double OwnHeadsCopied(int rank) const;
  std::vector<RankTime> Stage() const;
  void Ring(int head_index, std::vector<RankTime>& times) const;
  RankTime Gather(int rank, const std::vector<int>& crossing) const;
  RankTime Merge(int rank, const std::vector<int>& crossing) const;
  void Meshed(int head_index, std::vector<RankTime>& times) const;
  void Shared(int head_index, std::vector<RankTime>& times) const;
  const TokenSegments& KeysAt(const SequenceLayout& layout, int index) const {
    const int size = layout.size();
    return layout.keys[static_cast<size_t>((index % size + size) % size)];
  }

  // Bytes of what a rank has, with those that it has its tokens in common with, of so many heads.
  int64_t InputsOf(int rank, const HeadShare& heads) const {
    return SumOverRun(rank, [&](const TokenShare& own) {
      return InputBytes(plan_.problem, heads.query.size(), TokenCount(own.queries)) +
             2 * InputBytes(plan_.problem, heads.kv.size(), TokenCount(own.keys));
    });
  }
  int64_t OutputsOf(int rank, const HeadShare& heads) const {
    return SumOverRun(rank, [&](const TokenShare& own) {
      return OutputBytes(plan_.problem, heads.query.size(), TokenCount(own.queries));
    });
  }
  template <typename BytesOfShare>
  int64_t SumOverRun(int rank, const BytesOfShare& bytes_of) const {
    int64_t bytes = 0;
    for (int i = 0; i < HeadRun(); ++i) {
      bytes += bytes_of(tokens_[static_cast<size_t>(rank - rank % HeadRun() + i)]);
    }
    return bytes;
  }

  const AttentionPlan& plan_;
  std::vector<TokenShare> tokens_;  // by rank, where they are dealt
  const std::vector<int>& nodes_;
  const Rates& rates_;
  const StepClock& clock_;
};

}  // namespace attention

#endif  // SRC_PARALLEL_CHOOSE_PRICING_H_
