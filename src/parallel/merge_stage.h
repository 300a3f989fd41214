#ifndef SRC_PARALLEL_MERGE_STAGE_H_
#define SRC_PARALLEL_MERGE_STAGE_H_

#include <vector>

#include "src/kernels/attention_state.h"
#include "src/parallel/sequence_stage.h"
#include "src/parallel/tensor_buffer.h"

namespace attention {

// K/V stay; queries travel to every rank, and partial states come back to be merged (flash-decoding across
// ranks; tree attention, Shyam et al. 2024). In step s a rank computes the partial state of rank r - s's
// queries over its own keys and sends it home; its own come first, while the others' queries arrive:
//
//   queries of r - s  ->  accumulate over own K/V  ->  (o, m, l) to rank r - s
//   partial states from all ranks -> merged in rank order 0, 1, ... P-1 -> output
//
// A reduce-scatter whose reduction is ours: the order of merging is fixed, so results do not depend on
// arrival. Traffic per rank, elements: batch * query heads * (S_r * (P - 1) * head_dim queries + (S - S_r) *
// (head_dim + 2) states). Less than the ring's only where K/V are bigger than queries and states: few
// queries, many keys.
class MergeStage : public SequenceStage {
 public:
  MergeStage(const AttentionPlan& plan, const SequenceLayout& layout, const Communicator& communicator);

  void Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
           const TensorView& output, RunParts parts) override;
  int64_t comm_bytes() const override;
  size_t workspace_bytes() const override;
  TileSizes tiles() const override { return kernel_.tiles(); }

 private:
  void MergeInRankOrder(const TensorView& output);

  AttentionProblem problem_;
  SequenceLayout layout_;
  const Communicator* communicator_;
  KernelRunner kernel_;
  // By rank: its queries; our partial state of its queries; its partial state of our queries.
  std::vector<TensorBuffer> queries_;
  std::vector<AttentionStateBuffer> computed_;
  std::vector<AttentionStateBuffer> received_;
};

}  // namespace attention

#endif  // SRC_PARALLEL_MERGE_STAGE_H_
