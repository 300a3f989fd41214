// How much work a step is: pairs of a query and a key that it sees.
#ifndef SRC_PARALLEL_PARTITION_VISIBLE_PAIRS_H_
#define SRC_PARALLEL_PARTITION_VISIBLE_PAIRS_H_

#include "src/attention/mask.h"
#include "src/parallel/partition/partition.h"

namespace attention {

// Of one head: queries and keys are the tokens of two shards. Exact up to 2^53.
double VisiblePairs(const TokenSegments& queries, const TokenSegments& keys, const Mask& mask);

}  // namespace attention

#endif  // SRC_PARALLEL_PARTITION_VISIBLE_PAIRS_H_
