#include "src/parallel/partition/partition.h"

#include <algorithm>

#include "src/base/error.h"

namespace attention {
namespace {

// Drops empty runs, joins those that touch, numbers local rows from 0. Runs in ascending order.
TokenSegments Normalised(const std::vector<IndexRange>& runs) {
  TokenSegments segments;
  int64_t local = 0;
  for (const IndexRange& run : runs) {
    if (run.size() == 0) continue;
    if (!segments.empty() && segments.back().global_begin + segments.back().length == run.begin) {
      segments.back().length += run.size();
    } else {
      segments.push_back({local, run.begin, run.size()});
    }
    local += run.size();
  }
  return segments;
}

}  // namespace

IndexRange BalancedRange(int64_t total, int64_t parts, int64_t index) {
  Require(total >= 0 && parts >= 1 && index >= 0 && index < parts, "BalancedRange: part ", index, " of ",
          parts, " of ", total);
  const int64_t length = total / parts, longer = total % parts;
  const int64_t begin = index * length + std::min(index, longer);
  return {begin, begin + length + (index < longer ? 1 : 0)};
}

HeadShare ShareOfHeads(int64_t query_heads, int64_t kv_heads, int64_t parts, int64_t index) {
  Require(kv_heads >= 1 && query_heads >= 1 && query_heads % kv_heads == 0, "query heads ", query_heads,
          " are not a multiple of KV heads ", kv_heads);
  const int64_t group = query_heads / kv_heads;
  const IndexRange query = BalancedRange(query_heads, parts, index);
  if (query.size() == 0) return {query, {query.begin / group, query.begin / group}};
  return {query, {query.begin / group, (query.end - 1) / group + 1}};
}

std::vector<HeadShare> CutHeads(const HeadShare& share, int64_t group_size, int64_t most) {
  const int64_t kv_heads = share.kv.size();
  const bool whole_groups =
      share.query.begin == share.kv.begin * group_size && share.query.end == share.kv.end * group_size;
  int64_t pieces = whole_groups ? std::clamp<int64_t>(most, 1, std::max<int64_t>(1, kv_heads)) : 1;
  while (kv_heads % pieces != 0) --pieces;
  if (pieces == 1) return {share};
  std::vector<HeadShare> result;
  const int64_t size = kv_heads / pieces;
  for (int64_t begin = share.kv.begin; begin < share.kv.end; begin += size) {
    const int64_t end = begin + size;
    result.push_back({{begin * group_size, end * group_size}, {begin, end}});
  }
  return result;
}

TokenSegments ShareOfTokens(int64_t tokens, Sharding sharding, int64_t parts, int64_t index) {
  if (sharding == Sharding::kContiguous) return Normalised({BalancedRange(tokens, parts, index)});
  Require(sharding == Sharding::kZigzag, "sharding ", Name(sharding), " deals tokens by the mask");
  return Normalised(
      {BalancedRange(tokens, 2 * parts, index), BalancedRange(tokens, 2 * parts, 2 * parts - 1 - index)});
}

TokenSegments AllTokens(int64_t tokens, int64_t global_begin) {
  if (tokens == 0) return {};
  return {{0, global_begin, tokens}};
}

TokenSegments InWholeSequence(TokenSegments segments) {
  for (TokenSegment& segment : segments) segment.local_begin = segment.global_begin;
  return segments;
}

TokenSegments JoinTokens(const std::vector<TokenSegments>& shares) {
  std::vector<IndexRange> runs;
  for (const TokenSegments& share : shares) {
    for (const TokenSegment& segment : share) {
      runs.push_back({segment.global_begin, segment.global_begin + segment.length});
    }
  }
  std::sort(runs.begin(), runs.end(),
            [](const IndexRange& a, const IndexRange& b) { return a.begin < b.begin; });
  return Normalised(runs);
}

TokenSegments StackTokens(const std::vector<TokenSegments>& shares) {
  TokenSegments stacked;
  int64_t rows = 0;
  for (const TokenSegments& share : shares) {
    for (const TokenSegment& segment : share) {
      if (!stacked.empty() && stacked.back().global_begin + stacked.back().length == segment.global_begin) {
        stacked.back().length += segment.length;
      } else {
        stacked.push_back({rows, segment.global_begin, segment.length});
      }
      rows += segment.length;
    }
  }
  return stacked;
}

int64_t LocalRow(const TokenSegments& holder, int64_t global) {
  for (const TokenSegment& segment : holder) {
    const int64_t offset = global - segment.global_begin;
    if (offset >= 0 && offset < segment.length) return segment.local_begin + offset;
  }
  Fail("token ", global, " is not in this shard");
}

int64_t TokenCount(const TokenSegments& segments) {
  int64_t count = 0;
  for (const TokenSegment& segment : segments) count += segment.length;
  return count;
}

}  // namespace attention
