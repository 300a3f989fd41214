#include "src/parallel/partition/token_dealing.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <queue>
#include <tuple>
#include <utility>

#include "src/base/error.h"
#include "src/parallel/partition/token_circle.h"

namespace attention {
namespace {

using Runs = std::vector<IndexRange>;

// Whole documents in so many pieces at most: beyond, a necklace cuts few of them, and keeps runs few.
constexpr int64_t kMostWholeDocuments = 64;
// How far arcs may be off for the sake of fewer cuts, over all levels: the rest of kDealtBalance is for rows.
constexpr double kSlack = 0.04;
// Of a circle's borders only the first are tried as ends of an arc: where there are more, documents are
// short.
constexpr size_t kMostBorders = 16;

// No more than `most` + 1 of them.
Runs DocumentsOf(const Mask& mask, int64_t tokens, int64_t most) {
  Runs documents;
  for (int64_t begin = 0; begin < tokens && static_cast<int64_t>(documents.size()) <= most;) {
    const int64_t end = std::min(tokens, mask.Document(begin).end);
    documents.push_back({begin, end});
    begin = end;
  }
  return documents;
}

// Nothing if a rank would have too much, or there are too many.
std::vector<Runs> DealWhole(const Mask& mask, int64_t tokens, int64_t ranks) {
  const int64_t most = std::max(kMostWholeDocuments, 2 * ranks - 1);
  const Runs documents = DocumentsOf(mask, tokens, most);
  const auto count = static_cast<int64_t>(documents.size());
  if (count > most || count < ranks) return {};
  const auto pairs_of = [&](const IndexRange& run) {
    return mask.VisiblePairs(run.begin, run.size(), tokens);
  };
  std::vector<std::pair<double, int64_t>> by_cost;  // negated, so that equal ones keep their order
  for (int64_t i = 0; i < count; ++i) by_cost.emplace_back(-pairs_of(documents[static_cast<size_t>(i)]), i);
  std::ranges::sort(by_cost);
  using Load = std::tuple<double, int64_t, int64_t>;  // pairs, tokens, rank
  std::priority_queue<Load, std::vector<Load>, std::greater<>> loads;
  for (int64_t rank = 0; rank < ranks; ++rank) loads.emplace(0, 0, rank);
  std::vector<Runs> dealt(static_cast<size_t>(ranks));
  double most_pairs = 0, most_tokens = 0;
  for (const auto& [negated, index] : by_cost) {
    const IndexRange& document = documents[static_cast<size_t>(index)];
    auto [pairs, rows, rank] = loads.top();
    loads.pop();
    pairs -= negated;
    rows += document.size();
    loads.emplace(pairs, rows, rank);
    dealt[static_cast<size_t>(rank)].push_back(document);
    most_pairs = std::max(most_pairs, pairs);
    most_tokens = std::max(most_tokens, static_cast<double>(rows));
  }
  const double share = kDealtBalance / static_cast<double>(ranks);
  const bool keeps_balance = most_pairs <= share * mask.VisiblePairs(0, tokens, tokens) &&
                             most_tokens <= share * static_cast<double>(tokens);
  return keeps_balance ? dealt : std::vector<Runs>();
}

// Of the arcs of a circle that have the tokens of some of its ranks, where the one begins that they get.
class ArcSearch {
 public:
  ArcSearch(const TokenCircle& circle, int64_t length, double target, double slack)
      : circle_(circle), length_(length), target_(target), slack_(slack * target) {}

  int64_t Begin() const {
    const int64_t exact = ExactBegin();
    int64_t best = exact, fewest = KeysCut(exact);
    const auto consider = [&](int64_t begin) {
      begin = Wrapped(begin);
      const int64_t keys = KeysCut(begin);
      if (keys >= fewest || std::fabs(Excess(begin)) > slack_) return;
      best = begin;
      fewest = keys;
    };
    const auto [before, after] = circle_.BordersAround(exact);
    const auto [before_end, after_end] = circle_.BordersAround(exact + length_);
    for (int64_t begin : {before, after, before_end - length_, after_end - length_}) consider(begin);
    for (int64_t border : circle_.Borders(kMostBorders)) {
      if (fewest == 0) break;
      consider(border);
      consider(border - length_);
    }
    return best;
  }

 private:
  int64_t Wrapped(int64_t place) const {
    const int64_t tokens = circle_.tokens();
    return ((place % tokens) + tokens) % tokens;
  }
  int64_t KeysCut(int64_t begin) const {
    return circle_.KeysBefore(begin) + circle_.KeysBefore(begin + length_);
  }
  double Excess(int64_t begin) const { return circle_.PairsOfArc(Wrapped(begin), length_) - target_; }

  // Off by at most half a row, unless rounding a token leaves nothing to find; then by as little as the
  // multiples allow.
  int64_t ExactBegin() const {
    int64_t best = 0;
    double least = Excess(0), before = least;
    for (int64_t next = length_; next < circle_.tokens() + length_; next += length_) {
      const int64_t low = next - length_, high = std::min(next, circle_.tokens());
      const double excess = Excess(high);
      if ((before < 0) != (excess < 0)) return Wrapped(Between(low, high, before < 0));
      if (std::fabs(excess) < std::fabs(least)) best = Wrapped(high), least = excess;
      before = excess;
    }
    return best;
  }

  // The better of the two neighbours in [low, high] between which arcs cease to have too few, or begin to.
  int64_t Between(int64_t low, int64_t high, bool low_has_too_few) const {
    while (high - low > 1) {
      const int64_t middle = low + (high - low) / 2;
      ((Excess(middle) < 0) == low_has_too_few ? low : high) = middle;
    }
    return std::fabs(Excess(high)) < std::fabs(Excess(low)) ? high : low;
  }

  const TokenCircle& circle_;
  int64_t length_;
  double target_, slack_;
};

// Of an even number of ranks half are served by the arc, of an odd one a single rank.
int64_t RanksOfArc(int64_t ranks) { return ranks % 2 == 0 ? ranks / 2 : 1; }

int64_t Levels(int64_t ranks) {
  int64_t levels = 0;
  for (; ranks > 1; ranks -= RanksOfArc(ranks)) ++levels;
  return levels;
}

std::vector<Runs> DealNecklace(const Mask& mask, int64_t tokens, int64_t ranks) {
  struct Part {
    Runs runs;
    int64_t ranks;
  };
  const double slack = kSlack / static_cast<double>(std::max<int64_t>(1, Levels(ranks)));
  std::vector<Part> waiting = {{{{0, tokens}}, ranks}};
  std::vector<Runs> dealt;
  while (!waiting.empty()) {
    Part part = std::move(waiting.back());
    waiting.pop_back();
    if (part.ranks == 1) {
      dealt.push_back(std::move(part.runs));
      continue;
    }
    const TokenCircle circle(mask, tokens, std::move(part.runs));
    const int64_t served = RanksOfArc(part.ranks), rest = part.ranks - served;
    // tokens * served / ranks, rounded down, without leaving 64 bits.
    const int64_t length =
        circle.tokens() / part.ranks * served + circle.tokens() % part.ranks * served / part.ranks;
    const double target = circle.pairs() * static_cast<double>(served) / static_cast<double>(part.ranks);
    const int64_t begin = length == 0 ? 0 : ArcSearch(circle, length, target, slack).Begin();
    auto [inside, outside] = circle.Cut(begin, length);
    waiting.push_back({std::move(inside), served});
    waiting.push_back({std::move(outside), rest});
  }
  return dealt;
}

TokenSegments Segments(Runs runs) {
  std::ranges::sort(runs, {}, &IndexRange::begin);
  TokenSegments segments;
  for (const IndexRange& run : runs) segments.push_back({0, run.begin, run.size()});
  return JoinTokens({segments});
}

}  // namespace

std::vector<TokenSegments> DealTokens(const Mask& mask, int64_t tokens, Sharding sharding, int64_t ranks) {
  if (sharding == Sharding::kBalanced) return DealBalanced(mask, tokens, ranks);
  std::vector<TokenSegments> shares;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    shares.push_back(ShareOfTokens(tokens, sharding, ranks, rank));
  }
  return shares;
}

std::vector<TokenSegments> DealBalanced(const Mask& mask, int64_t tokens, int64_t ranks) {
  Require(tokens >= 0 && ranks >= 1, "DealBalanced: ", tokens, " tokens to ", ranks, " ranks");
  std::vector<TokenSegments> shares(static_cast<size_t>(ranks));
  if (tokens == 0) return shares;
  std::vector<Runs> dealt = DealWhole(mask, tokens, ranks);
  if (dealt.empty()) dealt = DealNecklace(mask, tokens, ranks);
  for (size_t rank = 0; rank < shares.size(); ++rank) shares[rank] = Segments(std::move(dealt[rank]));
  std::ranges::sort(shares, {}, [](const TokenSegments& share) {
    return share.empty() ? std::numeric_limits<int64_t>::max() : share.front().global_begin;
  });
  return shares;
}

}  // namespace attention
