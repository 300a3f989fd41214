#ifndef SRC_PARALLEL_CONTRACTS_ALL_TO_ALL_ATTENTION_H_
#define SRC_PARALLEL_CONTRACTS_ALL_TO_ALL_ATTENTION_H_

#include "src/parallel/contracts/distributed_attention.h"
#include "src/parallel/exchanges/head_pipeline.h"
#include "src/parallel/partition/grid_communicators.h"

namespace attention {

// Prefill with tokens sharded at both ends, heads divided in between (DeepSpeed-Ulysses), by all-to-alls of
// all ranks.
class AllToAllAttention : public DistributedAttention {
 public:
  AllToAllAttention(const AttentionPlan& plan, GridCommunicators communicators);

  size_t workspace_bytes() const override { return pipeline_.workspace_bytes(); }
  TileSizes tiles() const override { return pipeline_.tiles(); }

 protected:
  void Execute(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
               const TensorView& output, RunParts parts) override {
    pipeline_.Run(q, k, v, output, parts);
  }

 private:
  GridCommunicators communicators_;
  HeadPipeline pipeline_;
};

}  // namespace attention

#endif  // SRC_PARALLEL_CONTRACTS_ALL_TO_ALL_ATTENTION_H_
