#ifndef SRC_PARALLEL_CONTRACTS_TOKEN_SHARDED_ATTENTION_H_
#define SRC_PARALLEL_CONTRACTS_TOKEN_SHARDED_ATTENTION_H_

#include <memory>
#include <optional>
#include <vector>

#include "src/parallel/contracts/distributed_attention.h"
#include "src/parallel/exchanges/head_exchange.h"
#include "src/parallel/exchanges/sequence_stage.h"
#include "src/parallel/partition/grid_communicators.h"

namespace attention {

// Prefill with tokens sharded at both ends: a sequence stage among the token groups, and around it, where
// several ranks divide the heads of a group, an all-to-all among them. So it is sequence parallelism and its
// 2-D product with Ulysses; for Ulysses alone see AllToAllAttention. In the product the all-to-all is not
// hidden: the stage inside wants all heads at once, as its own exchange has ever shorter steps to hide behind
// otherwise, and a KV head in two pieces would travel twice.
class TokenShardedAttention : public DistributedAttention {
 public:
  TokenShardedAttention(const AttentionPlan& plan, GridCommunicators communicators);

  size_t workspace_bytes() const override;
  TileSizes tiles() const override { return stage_->tiles(); }
  // The heads of a grid have come from other ranks first.
  std::optional<KeyValueStorage> key_value_storage() const override {
    return head_exchange_ ? std::nullopt : stage_->key_value_storage();
  }

 protected:
  void Execute(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
               const TensorView& output, RunParts parts) override;

 private:
  GridCommunicators communicators_;
  std::optional<HeadExchange> head_exchange_;
  std::unique_ptr<SequenceStage> stage_;
};

}  // namespace attention

#endif  // SRC_PARALLEL_CONTRACTS_TOKEN_SHARDED_ATTENTION_H_
