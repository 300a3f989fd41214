#ifndef SRC_PARALLEL_RING_STAGE_H_
#define SRC_PARALLEL_RING_STAGE_H_

#include "src/kernels/attention_state.h"
#include "src/parallel/sequence_stage.h"
#include "src/parallel/tensor_buffer.h"

namespace attention {

// Ring attention (Liu, Zaharia, Abbeel 2023). In step s a rank's queries meet the K/V of rank r - s, while
// those of rank r - s - 1 arrive from the left and the current ones leave to the right:
//
//   step 0      step 1      step 2            two receive buffers, used in turn; the first step reads the
//   q0:kv0      q0:kv2      q0:kv1            caller's own K/V where they are
//   q1:kv1      q1:kv0      q1:kv2
//   q2:kv2      q2:kv1      q2:kv0
//
// The order of steps is fixed, so the result does not depend on when messages arrive. The last two are one
// pass for all heads that begin after the last arrival (KernelRunner::AccumulateArriving). Traffic per rank:
// K and V of all ranks but the right neighbour, 2 * batch * KV heads * head_dim * (S - S_right) elements,
// hidden as long as a step computes longer than its K/V travel: 2 * S_r * group FLOPs per element moved (half
// of it causal and zigzag), so at 200 GFLOP/s on 1 Gbit (32 ns for a float) from S_r * group = 3200 on
// (6400).
class RingStage : public SequenceStage {
 public:
  RingStage(const AttentionPlan& plan, const SequenceLayout& layout, const Communicator& communicator);

  void Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
           const TensorView& output, RunParts parts) override;
  int64_t comm_bytes() const override;
  size_t workspace_bytes() const override;
  TileSizes tiles() const override { return kernel_.tiles(); }

 private:
  AttentionProblem problem_;
  SequenceLayout layout_;
  const Communicator* communicator_;
  KernelRunner kernel_;
  KeyValueBuffer arriving_[2];
  AttentionStateBuffer state_;
};

}  // namespace attention

#endif  // SRC_PARALLEL_RING_STAGE_H_
