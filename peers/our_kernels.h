// This project's kernels as contestants.
#ifndef PEERS_OUR_KERNELS_H_
#define PEERS_OUR_KERNELS_H_

#include "peers/contestant.h"
#include "peers/workload.h"
#include "src/attention/attention_types.h"

namespace attention::peers {

// online_softmax ("ours") and row_blocked ("ours_row_blocked") on the widest ISA with the tiles they choose
// themselves. problem outlives the result.
Contestants MakeOurKernels(const Problem& problem);

}  // namespace attention::peers

#endif  // PEERS_OUR_KERNELS_H_
