#include "src/parallel/partition/visible_pairs.h"

namespace attention {
namespace {

// Both ends of what is seen never fall as positions rise, so a run of queries of which all see the same of
// the keys, or none sees any, is a rectangle. Others are halved: a mask's border costs its length, the rest
// nothing.
double PairsOfRun(int64_t first, int64_t queries, const TokenSegment& keys, const Mask& mask) {
  const int64_t last = first + queries - 1;
  const KeyRange any = mask.VisibleToAny(first, last, keys.global_begin, keys.length);
  if (any.is_empty()) return 0;
  if (queries == 1 || any == mask.VisibleToAll(first, last, keys.global_begin, keys.length)) {
    return static_cast<double>(queries) * static_cast<double>(any.size());
  }
  const int64_t half = queries / 2;
  return PairsOfRun(first, half, keys, mask) + PairsOfRun(first + half, queries - half, keys, mask);
}

}  // namespace

double VisiblePairs(const TokenSegments& queries, const TokenSegments& keys, const Mask& mask) {
  double pairs = 0;
  for (const TokenSegment& query : queries) {
    if (query.length == 0) continue;
    for (const TokenSegment& key : keys) {
      pairs += PairsOfRun(query.global_begin, query.length, key, mask);
    }
  }
  return pairs;
}

}  // namespace attention
