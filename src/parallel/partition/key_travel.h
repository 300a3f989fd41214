// Which keys and values travel between the ranks of a sequence exchange: of each shard those that some query
// at the other end, or behind it, sees. Pure arithmetic on layout and mask, the same on every rank.
//
// A mask is a range of keys per query position whose ends never fall (attention/mask.h), so what a run of
// queries sees of a run of keys is a range, and is found from its first and last query. Under `full` that is
// everything. Under `causal` no rank needs keys that are later than all its queries. Under `window: W` and
// contiguous shards it is a halo: at most the W - 1 tokens before a shard, whatever the number of ranks and
// the length of the sequence. Under `documents` it is what documents have on both sides of a border.
#ifndef SRC_PARALLEL_PARTITION_KEY_TRAVEL_H_
#define SRC_PARALLEL_PARTITION_KEY_TRAVEL_H_

#include <cstdint>
#include <vector>

#include "src/attention/mask.h"
#include "src/parallel/partition/mesh.h"
#include "src/parallel/partition/partition.h"
#include "src/parallel/partition/sequence_layout.h"

namespace attention {

// Tokens of rank `source` whose keys the queries of rank `reader` see, a range per segment of the source;
// local_begin counts up from 0, as they lie where they arrive.
TokenSegments KeysSeen(const SequenceLayout& layout, const Mask& mask, int source, int reader);
// The same of the queries of any of several ranks.
TokenSegments KeysSeenByAny(const SequenceLayout& layout, const Mask& mask, int source,
                            const std::vector<int>& readers);

// Rows [from, from + tokens) of the sender's keys and values become rows from `to` of the receiver's: a
// message for K and one for V.
struct RowRun {
  int64_t from = 0;
  int64_t to = 0;
  int64_t tokens = 0;

  bool operator==(const RowRun&) const = default;
};
// The fewest runs that move `travelling` (a subset of `held`, in its order) from a tensor that holds `held`.
std::vector<RowRun> RunsOf(const TokenSegments& held, const TokenSegments& travelling);

// A hop of a ring, as one rank sees it: what arrives from the left while something leaves to the right. On
// hop h = 1, 2, ... the keys of rank r - h reach rank r, those that rank r or a rank behind it still needs.
struct RingHop {
  TokenSegments arriving;  // as KeysSeen: dense, in the receiver's buffer
  std::vector<RowRun> arriving_runs, leaving_runs;
};
// Of the layout's rank, up to the last hop on which something arrives or leaves.
std::vector<RingHop> RingHops(const SequenceLayout& layout, const Mask& mask);

// Tokens whose keys reach each rank on each hop: [hop - 1][rank], for all hops of a full round.
std::vector<std::vector<int64_t>> RingArrivals(const SequenceLayout& layout, const Mask& mask);

// Tokens whose keys and values every rank sends in a run (a token as often as it is sent), and those it keeps
// room for beside its own, or with a copy of its own.
struct KeyTravel {
  std::vector<int64_t> sent, held;
};
// Around the ring; two buffers, used in turn.
KeyTravel RingTravel(const SequenceLayout& layout, const Mask& mask);
// From each rank to each. with_own: the rank's own keys are copied in between the others'.
KeyTravel GatherTravel(const SequenceLayout& layout, const Mask& mask, bool with_own);
// Among the ranks of all nodes that have one place in their node (0 to ranks_of_node - 1, rank = node *
// ranks_of_node + place) in the exchange `shared`: as a ring of nodes, whose queries are those of all ranks
// of the node, and whose keys those of the rank in that place.
SequenceLayout LayoutAtPlace(const SequenceLayout& layout, int ranks_of_node, int place);
// Around these rings.
KeyTravel SharedTravel(const SequenceLayout& layout, const Mask& mask, int ranks_of_node);
// Along the columns of a mesh, for the queries of a row.
KeyTravel MeshTravel(const SequenceLayout& layout, const Mask& mask, const Mesh& mesh);

}  // namespace attention

#endif  // SRC_PARALLEL_PARTITION_KEY_TRAVEL_H_
