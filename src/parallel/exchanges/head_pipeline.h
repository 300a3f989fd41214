// Attention between two head-wise all-to-alls, a piece of heads after the other.
#ifndef SRC_PARALLEL_EXCHANGES_HEAD_PIPELINE_H_
#define SRC_PARALLEL_EXCHANGES_HEAD_PIPELINE_H_

#include <vector>

#include "src/base/tensor_view.h"
#include "src/mpi/communicator.h"
#include "src/parallel/exchanges/head_exchange.h"
#include "src/parallel/exchanges/kernel_runner.h"
#include "src/parallel/partition/attention_plan.h"
#include "src/parallel/partition/sequence_layout.h"

namespace attention {

// An all-to-all brings a rank all tokens of its heads, one call of the kernel per piece of heads computes
// them, an all-to-all takes the outputs home.
//
//   exchange   q k v 0 | q k v 1 | q k v 2, o 0 | q k v 3, o 1 | o 2     | o 3
//   kernel             | 0       | 1            | 2            | 3       |
//
// With n pieces 1/n of either direction is left in the open, if a piece computes for longer than it travels:
// per query row and head 2 * S * head_dim FLOPs causal (4 full) against head_dim * (2 + 2 / group) * (P - 1)
// / P elements: at 200 GFLOP/s, S = 4096, group 4 and P = 2, 5.2 us against 5.1 us on 1 Gbit. Only one piece
// is sent ahead: with all at once the first would share the link with the others and come late. A piece is
// whole KV heads, so none travels twice; see HeadExchange for the traffic.
class HeadPipeline {
 public:
  // By rank of `communicator`, which must outlive it: its tokens, and its place among those that divide the
  // plan's heads.
  HeadPipeline(const AttentionPlan& plan, const std::vector<TokenShare>& tokens,
               const std::vector<int>& head_indices, const Communicator& communicator);

  // Collective. All heads, own tokens.
  void Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
           const TensorView& output, RunParts parts);

  size_t workspace_bytes() const { return exchange_.workspace_bytes() + kernel_.workspace_bytes(); }
  TileSizes tiles() const { return kernel_.tiles(); }

 private:
  void Compute(RunParts parts, const HeadShare& piece, const std::vector<RequestSet*>& under_way);

  const Communicator* communicator_;
  HeadExchange exchange_;
  KernelRunner kernel_;  // for one piece; all of a rank's are alike
};

}  // namespace attention

#endif  // SRC_PARALLEL_EXCHANGES_HEAD_PIPELINE_H_
