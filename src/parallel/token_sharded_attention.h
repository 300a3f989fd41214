#ifndef SRC_PARALLEL_TOKEN_SHARDED_ATTENTION_H_
#define SRC_PARALLEL_TOKEN_SHARDED_ATTENTION_H_

#include <memory>
#include <optional>
#include <vector>

#include "src/parallel/distributed_attention.h"
#include "src/parallel/grid_communicators.h"
#include "src/parallel/head_exchange.h"
#include "src/parallel/sequence_stage.h"

namespace attention {

// Prefill with tokens dealt at both ends: an all-to-all among the ranks that divide heads (none if there is
// one), around a sequence stage among the token groups (a single call of the kernel if there is one). So it
// is sequence parallelism, Ulysses, and their 2-D product.
class TokenShardedAttention : public DistributedAttention {
 public:
  TokenShardedAttention(const AttentionPlan& plan, GridCommunicators communicators);

  int64_t comm_bytes_formula() const override;
  size_t workspace_bytes() const override;
  TileSizes tiles() const override { return stage_->tiles(); }

 protected:
  void Execute(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
               const TensorView& output, RunParts parts) override;

 private:
  GridCommunicators communicators_;
  std::optional<HeadExchange> head_exchange_;
  std::unique_ptr<SequenceStage> stage_;
};

}  // namespace attention

#endif  // SRC_PARALLEL_TOKEN_SHARDED_ATTENTION_H_
