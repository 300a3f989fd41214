// The messages of one hop of a ring, as one rank sees it.
#ifndef SRC_PARALLEL_EXCHANGES_RING_HOP_H_
#define SRC_PARALLEL_EXCHANGES_RING_HOP_H_

#include "src/base/tensor_view.h"
#include "src/mpi/request_set.h"
#include "src/parallel/partition/key_travel.h"

namespace attention {

struct RingNeighbours {
  int left = 0;   // what arrives comes from there
  int right = 0;  // what leaves goes there
};

// Starts what `hop` says: rows of k and v leave, others arrive in next_k and next_v. The sets may be one.
inline void StartRingHop(const RingHop& hop, const ConstTensorView& k, const ConstTensorView& v,
                         const TensorView& next_k, const TensorView& next_v, RingNeighbours neighbours,
                         RequestSet& arriving, RequestSet& leaving) {
  for (const RowRun& run : hop.arriving_runs) {
    arriving.Receive({next_k.SliceTokens(run.to, run.tokens)}, neighbours.left);
    arriving.Receive({next_v.SliceTokens(run.to, run.tokens)}, neighbours.left);
  }
  for (const RowRun& run : hop.leaving_runs) {
    leaving.Send({k.SliceTokens(run.from, run.tokens)}, neighbours.right);
    leaving.Send({v.SliceTokens(run.from, run.tokens)}, neighbours.right);
  }
}

}  // namespace attention

#endif  // SRC_PARALLEL_EXCHANGES_RING_HOP_H_
