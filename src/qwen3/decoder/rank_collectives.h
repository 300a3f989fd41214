// Collectives on rows of floats: sums for tensor parallelism, gathers for what each rank made a part of.
#ifndef SRC_QWEN3_DECODER_RANK_COLLECTIVES_H_
#define SRC_QWEN3_DECODER_RANK_COLLECTIVES_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "src/attention/mask.h"
#include "src/base/aligned_buffer.h"
#include "src/mpi/communicator.h"
#include "src/parallel/partition/partition.h"
#include "src/qwen3/linear/linear.h"

namespace attention {

// All-reduce (sum), in place, in rank order whatever the order of arrival: every rank gets the same bits, run
// after run. Small sums travel whole to every rank (one latency); large ones as a reduce-scatter and an
// all-gather, 2 (P-1)/P of the bytes.
class RankSum {
 public:
  // Room for sums of up to max_elements; nothing is allocated later. `communicator` must outlive it.
  RankSum(const Communicator& communicator, int64_t max_elements);

  // Collective; `elements` contiguous floats, the same count on every rank.
  void Run(float* data, int64_t elements);
  size_t workspace_bytes() const { return received_.size_bytes(); }

 private:
  const Communicator* communicator_;
  AlignedBuffer received_;  // one slot per rank
};

// Collective. Rank r has filled columns of_rank(r) of `rows`; afterwards every rank has all of them.
using ColumnsOfRank = std::function<IndexRange(int rank)>;
void GatherColumns(const Communicator& communicator, const Rows& rows, const ColumnsOfRank& of_rank);

// Collective. `mine` are the rows of this rank's tokens, [batch, own tokens, width]; `whole` gets [batch,
// tokens, width] on every rank.
struct TokenRows {
  int64_t batch, tokens, width;
  Sharding sharding;
  Mask mask = Mask::Causal();  // that tokens were dealt by
};
void GatherTokens(const Communicator& communicator, const TokenRows& shape, const float* mine, float* whole);
// The other way, on one rank: the rows of `tokens` out of the whole tensor.
std::vector<float> ShareOfRows(const TokenRows& shape, const TokenSegments& tokens,
                               std::span<const float> whole);
void CopyShareOfRows(const TokenRows& shape, const TokenSegments& tokens, const float* whole, float* rows);

// Collective. `elements` floats of rank `root`, on every rank.
void BroadcastFloats(const Communicator& communicator, int root, float* data, int64_t elements);

}  // namespace attention

#endif  // SRC_QWEN3_DECODER_RANK_COLLECTIVES_H_
