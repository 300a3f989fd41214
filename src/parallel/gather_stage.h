#ifndef SRC_PARALLEL_GATHER_STAGE_H_
#define SRC_PARALLEL_GATHER_STAGE_H_

#include "src/kernels/attention_state.h"
#include "src/parallel/sequence_stage.h"
#include "src/parallel/tensor_buffer.h"

namespace attention {

// K/V of all ranks are gathered (Llama 3's context parallelism). Valid for every algorithm. Blocks arrive at
// their final place, in global token order, so the kernel sees few segments of keys. Traffic per rank: its K
// and V to each of the others, 2 * batch * KV heads * head_dim * S_r * (P - 1) elements.
//
// online_softmax meets the rank's own keys, where they are, while the others' arrive, and then those, in the
// same pass where they are already there (KernelRunner::AccumulateArriving): 1/P of the work hides the whole
// exchange if 2 * S_r * group FLOPs (half of it causal) take longer than P - 1 elements travel. Only two
// steps, because the others' blocks share one link and arrive at about the same time; who has many ranks and
// a slow link takes the ring, which hides P - 1 of P parts. An exact softmax needs all keys at once: nothing
// can be hidden, and own K/V are copied to their place among the others.
class GatherStage : public SequenceStage {
 public:
  GatherStage(const AttentionPlan& plan, const SequenceLayout& layout, const Communicator& communicator);

  void Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
           const TensorView& output, RunParts parts) override;
  int64_t comm_bytes() const override;
  size_t workspace_bytes() const override {
    return kernel_.workspace_bytes() + gathered_.size_bytes() + state_.size_bytes();
  }
  TileSizes tiles() const override { return kernel_.tiles(); }

 private:
  void StartGather(const ConstTensorView& k, const ConstTensorView& v, RequestSet& arriving,
                   RequestSet& leaving);
  void CopyOwn(const ConstTensorView& k, const ConstTensorView& v);
  template <typename View>
  View Place(const View& gathered, const TokenSegment& segment) const {
    return gathered.SliceTokens(LocalRow(gathered_tokens_, segment.global_begin), segment.length);
  }

  AttentionProblem problem_;
  SequenceLayout layout_;
  const Communicator* communicator_;
  bool own_first_;
  TokenSegments gathered_tokens_;  // joined, of the other ranks if own_first_, else of all
  KernelRunner kernel_;
  KeyValueBuffer gathered_;
  AttentionStateBuffer state_;  // only if own_first_
};

}  // namespace attention

#endif  // SRC_PARALLEL_GATHER_STAGE_H_
