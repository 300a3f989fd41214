// Who owns what: heads and tokens by rank. Pure arithmetic, no MPI.
#ifndef SRC_PARALLEL_PARTITION_PARTITION_H_
#define SRC_PARALLEL_PARTITION_PARTITION_H_

#include <cstdint>
#include <vector>

#include "src/attention/attention_types.h"
#include "src/parallel/strategy/strategy.h"

namespace attention {

struct IndexRange {
  int64_t begin = 0;
  int64_t end = 0;

  int64_t size() const { return end - begin; }
  bool operator==(const IndexRange&) const = default;
};

// Part `index` of `total` items in `parts` runs whose lengths differ by at most one, longer ones first. With
// more parts than items the last ones are empty.
IndexRange BalancedRange(int64_t total, int64_t parts, int64_t index);

// The query heads of a rank and the KV heads they read. With more ranks than KV heads, or a count that does
// not divide, neighbouring ranks share a KV head: query heads are divided evenly, as they are the work.
struct HeadShare {
  IndexRange query;
  IndexRange kv;

  bool operator==(const HeadShare&) const = default;
};
HeadShare ShareOfHeads(int64_t query_heads, int64_t kv_heads, int64_t parts, int64_t index);

// A share cut into runs of whole KV heads with all query heads that read them, all of one size, so that one
// kernel serves them all: as many as possible, at most `most`. One run, the share itself, where it begins or
// ends inside a KV head's group.
std::vector<HeadShare> CutHeads(const HeadShare& share, int64_t group_size, int64_t most);

// A rank's tokens as non-empty segments in ascending global order, stored one after the other (local_begin
// counts up from 0). contiguous: chunk r of P. zigzag: chunks r and 2P-1-r of 2P; where they touch they are
// one segment. balanced asks the mask (token_dealing.h): Error here.
using TokenSegments = std::vector<TokenSegment>;
TokenSegments ShareOfTokens(int64_t tokens, Sharding sharding, int64_t parts, int64_t index);

// All tokens of a tensor that holds them in global order, the first being `global_begin`.
TokenSegments AllTokens(int64_t tokens, int64_t global_begin = 0);

// The same tokens inside a tensor that holds the whole sequence: local_begin = global_begin.
TokenSegments InWholeSequence(TokenSegments segments);

// The union of several shares in ascending global order, touching segments joined, stored one after the
// other.
TokenSegments JoinTokens(const std::vector<TokenSegments>& shares);

// Several shares as rows of one tensor, each behind the one before it; touching segments joined.
TokenSegments StackTokens(const std::vector<TokenSegments>& shares);

// Row of `holder`'s tensor at which global token `global` lies; Error if it has none.
int64_t LocalRow(const TokenSegments& holder, int64_t global);

int64_t TokenCount(const TokenSegments& segments);

}  // namespace attention

#endif  // SRC_PARALLEL_PARTITION_PARTITION_H_
