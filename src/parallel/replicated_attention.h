#ifndef SRC_PARALLEL_REPLICATED_ATTENTION_H_
#define SRC_PARALLEL_REPLICATED_ATTENTION_H_

#include <vector>

#include "src/parallel/distributed_attention.h"
#include "src/parallel/grid_communicators.h"

namespace attention {

// Everything a rank needs is there from the start: it reads its heads and its query tokens by views, computes
// in one call, and only outputs travel, each block straight into its place on the other ranks. Head-wise
// prefill (Megatron's attention) under native and replicated, sequence and grid under replicated, and decode
// over a head-sharded or replicated cache. Traffic per rank: its block of the output to each of the others,
// batch * its query heads * its query tokens * head_dim * (P - 1) floats; none if the output stays sharded.
class ReplicatedAttention : public DistributedAttention {
 public:
  ReplicatedAttention(const AttentionPlan& plan, GridCommunicators communicators);

  int64_t comm_bytes_formula() const override;
  size_t workspace_bytes() const override { return kernel_.workspace_bytes(); }
  TileSizes tiles() const override { return kernel_.tiles(); }

 protected:
  void Execute(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
               const TensorView& output, RunParts parts) override;

 private:
  static TokenSegments QueryTokensOf(const AttentionPlan& plan, int rank);
  void GatherOutputs(const TensorView& output) const;

  GridCommunicators communicators_;
  bool gathers_;
  TokenSegments query_tokens_;  // own, as rows of the whole q
  TokenSegments key_tokens_;    // all
  KernelRunner kernel_;
};

}  // namespace attention

#endif  // SRC_PARALLEL_REPLICATED_ATTENTION_H_
