#ifndef SRC_PARALLEL_GATHER_STAGE_H_
#define SRC_PARALLEL_GATHER_STAGE_H_

#include "src/parallel/sequence_stage.h"
#include "src/parallel/tensor_buffer.h"

namespace attention {

// K/V of all ranks are gathered first, then one call of the kernel sees them all (Llama 3's context
// parallelism). Valid for every algorithm. Blocks arrive at their final place, in global token order, so the
// kernel sees one segment of keys. Traffic per rank: its K and V to each of the others, 2 * batch * KV heads
// * head_dim * S_r * (P - 1) elements; memory: K and V of the whole sequence.
class GatherStage : public SequenceStage {
 public:
  GatherStage(const AttentionPlan& plan, const SequenceLayout& layout, const Communicator& communicator);

  void Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
           const TensorView& output, RunParts parts) override;
  int64_t comm_bytes() const override;
  size_t workspace_bytes() const override { return kernel_.workspace_bytes() + gathered_.size_bytes(); }
  TileSizes tiles() const override { return kernel_.tiles(); }

 private:
  void Gather(const ConstTensorView& k, const ConstTensorView& v);

  AttentionProblem problem_;
  SequenceLayout layout_;
  const Communicator* communicator_;
  TokenSegments all_tokens_;  // joined: one segment when the communicator's ranks own the whole sequence
  KernelRunner kernel_;
  KeyValueBuffer gathered_;
};

}  // namespace attention

#endif  // SRC_PARALLEL_GATHER_STAGE_H_
