#include "src/parallel/partition/key_travel.h"

#include <algorithm>
#include <array>

namespace attention {
namespace {

// Of each segment of a shard, a range of places in it.
using SeenRanges = std::vector<KeyRange>;

void Widen(KeyRange& range, const KeyRange& more) {
  if (more.is_empty()) return;
  range =
      range.is_empty() ? more : KeyRange{std::min(range.begin, more.begin), std::max(range.end, more.end)};
}

void WidenBy(SeenRanges& seen, const TokenSegments& keys, const Mask& mask, const TokenSegments& queries) {
  for (size_t i = 0; i < keys.size(); ++i) {
    for (const TokenSegment& query : queries) {
      if (query.length == 0) continue;
      Widen(seen[i], mask.VisibleToAny(query.global_begin, query.global_begin + query.length - 1,
                                       keys[i].global_begin, keys[i].length));
    }
  }
}

TokenSegments Dense(const TokenSegments& keys, const SeenRanges& seen) {
  TokenSegments segments;
  int64_t local = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (seen[i].is_empty()) continue;
    segments.push_back({local, keys[i].global_begin + seen[i].begin, seen[i].size()});
    local += seen[i].size();
  }
  return segments;
}

int64_t Count(const SeenRanges& seen) {
  int64_t tokens = 0;
  for (const KeyRange& range : seen) tokens += std::max<int64_t>(0, range.size());
  return tokens;
}

int Wrapped(int rank, int size) { return (rank % size + size) % size; }

// What of the keys of `source` is on its way on hop `hop`: it is for the rank that the hop leads to and for
// all behind that, up to the one before the source.
TokenSegments Cargo(const SequenceLayout& layout, const Mask& mask, int source, int hop) {
  const TokenSegments& keys = layout.keys[static_cast<size_t>(source)];
  if (hop == 0) return keys;
  SeenRanges seen(keys.size());
  for (int behind = hop; behind < layout.size(); ++behind) {
    const int reader = Wrapped(source + behind, layout.size());
    WidenBy(seen, keys, mask, layout.queries[static_cast<size_t>(reader)]);
  }
  return Dense(keys, seen);
}

}  // namespace

TokenSegments KeysSeen(const SequenceLayout& layout, const Mask& mask, int source, int reader) {
  return KeysSeenByAny(layout, mask, source, {reader});
}

TokenSegments KeysSeenByAny(const SequenceLayout& layout, const Mask& mask, int source,
                            const std::vector<int>& readers) {
  const TokenSegments& keys = layout.keys[static_cast<size_t>(source)];
  SeenRanges seen(keys.size());
  for (int reader : readers) WidenBy(seen, keys, mask, layout.queries[static_cast<size_t>(reader)]);
  return Dense(keys, seen);
}

std::vector<RowRun> RunsOf(const TokenSegments& held, const TokenSegments& travelling) {
  std::vector<RowRun> runs;
  for (const TokenSegment& segment : travelling) {
    const RowRun run = {LocalRow(held, segment.global_begin), segment.local_begin, segment.length};
    if (!runs.empty() && runs.back().from + runs.back().tokens == run.from &&
        runs.back().to + runs.back().tokens == run.to) {
      runs.back().tokens += run.tokens;
    } else {
      runs.push_back(run);
    }
  }
  return runs;
}

std::vector<RingHop> RingHops(const SequenceLayout& layout, const Mask& mask) {
  std::vector<RingHop> hops;
  size_t used = 0;
  for (int number = 1; number < layout.size(); ++number) {
    const int from_left = Wrapped(layout.rank - number, layout.size());
    const int to_right = Wrapped(layout.rank - number + 1, layout.size());
    RingHop hop;
    hop.arriving = Cargo(layout, mask, from_left, number);
    hop.arriving_runs = RunsOf(Cargo(layout, mask, from_left, number - 1), hop.arriving);
    const TokenSegments& held = number == 1 ? layout.own_keys() : hops.back().arriving;
    hop.leaving_runs = RunsOf(held, Cargo(layout, mask, to_right, number));
    hops.push_back(std::move(hop));
    if (!hops.back().arriving_runs.empty() || !hops.back().leaving_runs.empty()) used = hops.size();
  }
  hops.resize(used);
  return hops;
}

std::vector<std::vector<int64_t>> RingArrivals(const SequenceLayout& layout, const Mask& mask) {
  const int size = layout.size();
  std::vector<std::vector<int64_t>> arrivals(layout.keys.size() - 1,
                                             std::vector<int64_t>(layout.keys.size(), 0));
  for (int source = 0; source < size; ++source) {
    const TokenSegments& keys = layout.keys[static_cast<size_t>(source)];
    SeenRanges seen(keys.size());
    // From the last hop to the first, each for one reader more than the one behind it.
    for (int hop = size - 1; hop > 0; --hop) {
      const auto reader = static_cast<size_t>(Wrapped(source + hop, size));
      WidenBy(seen, keys, mask, layout.queries[reader]);
      arrivals[static_cast<size_t>(hop - 1)][reader] = Count(seen);
    }
  }
  return arrivals;
}

KeyTravel RingTravel(const SequenceLayout& layout, const Mask& mask) {
  const int size = layout.size();
  KeyTravel travel = {std::vector<int64_t>(layout.keys.size(), 0), {}};
  std::vector<std::array<int64_t, 2>> buffers(layout.keys.size(), {0, 0});
  const std::vector<std::vector<int64_t>> arrivals = RingArrivals(layout, mask);
  for (size_t hop = 0; hop < arrivals.size(); ++hop) {
    for (int reader = 0; reader < size; ++reader) {
      const int64_t tokens = arrivals[hop][static_cast<size_t>(reader)];
      travel.sent[static_cast<size_t>(Wrapped(reader - 1, size))] += tokens;
      int64_t& buffer = buffers[static_cast<size_t>(reader)][hop % 2];
      buffer = std::max(buffer, tokens);
    }
  }
  for (const auto& [first, second] : buffers) travel.held.push_back(first + second);
  return travel;
}

KeyTravel GatherTravel(const SequenceLayout& layout, const Mask& mask, bool with_own) {
  KeyTravel travel = {std::vector<int64_t>(layout.keys.size(), 0),
                      std::vector<int64_t>(layout.keys.size(), 0)};
  for (int source = 0; source < layout.size(); ++source) {
    for (int reader = 0; reader < layout.size(); ++reader) {
      int64_t& held = travel.held[static_cast<size_t>(reader)];
      if (reader == source) {
        if (with_own) held += layout.KeysOf(source);
        continue;
      }
      const int64_t tokens = TokenCount(KeysSeen(layout, mask, source, reader));
      travel.sent[static_cast<size_t>(source)] += tokens;
      held += tokens;
    }
  }
  return travel;
}

SequenceLayout LayoutAtPlace(const SequenceLayout& layout, int ranks_of_node, int place) {
  SequenceLayout ring;
  ring.heads = layout.heads;
  ring.rank = layout.rank / ranks_of_node;
  for (int first = 0; first < layout.size(); first += ranks_of_node) {
    const auto begin = layout.queries.begin() + first;
    ring.queries.push_back(JoinTokens(std::vector<TokenSegments>(begin, begin + ranks_of_node)));
    ring.keys.push_back(layout.keys[static_cast<size_t>(first) + static_cast<size_t>(place)]);
  }
  return ring;
}

KeyTravel SharedTravel(const SequenceLayout& layout, const Mask& mask, int ranks_of_node) {
  KeyTravel travel = {std::vector<int64_t>(layout.keys.size(), 0),
                      std::vector<int64_t>(layout.keys.size(), 0)};
  for (int place = 0; place < ranks_of_node; ++place) {
    const KeyTravel ring = RingTravel(LayoutAtPlace(layout, ranks_of_node, place), mask);
    for (size_t node = 0; node < ring.sent.size(); ++node) {
      const size_t rank = node * static_cast<size_t>(ranks_of_node) + static_cast<size_t>(place);
      travel.sent[rank] = ring.sent[node];
      travel.held[rank] = ring.held[node];
    }
  }
  return travel;
}

KeyTravel MeshTravel(const SequenceLayout& layout, const Mask& mask, const Mesh& mesh) {
  KeyTravel travel = {std::vector<int64_t>(layout.keys.size(), 0),
                      std::vector<int64_t>(layout.keys.size(), 0)};
  for (int reader = 0; reader < layout.size(); ++reader) {
    const std::vector<int> row = mesh.RowOf(reader);
    for (int source : mesh.ColumnOf(reader)) {
      if (source == reader) continue;
      const int64_t tokens = TokenCount(KeysSeenByAny(layout, mask, source, row));
      travel.sent[static_cast<size_t>(source)] += tokens;
      travel.held[static_cast<size_t>(reader)] += tokens;
    }
  }
  return travel;
}

}  // namespace attention
