// A distributed attention with tensors of its shards: where it would have them, or in buffers of their own.
#ifndef SRC_PARALLEL_ATTENTION_RUN_H_
#define SRC_PARALLEL_ATTENTION_RUN_H_

#include <memory>

#include "src/base/aligned_buffer.h"
#include "src/parallel/contracts/distributed_attention.h"

namespace attention {

class AttentionRun {
 public:
  // Collective, with what MakeDistributedAttention takes; throws the same Error on every rank.
  AttentionRun(Communicator& communicator, const AttentionProblem& problem, const Variant& variant,
               Contract contract, const ExecutionOptions& options);

  // Collective.
  void Run() { attention_->Run(q_, k_, v_, output_); }
  void RunExchangeOnly() { attention_->RunExchangeOnly(q_, k_, v_, output_); }
  void RunComputeOnly() { attention_->RunComputeOnly(q_, k_, v_, output_); }

  const DistributedAttention& attention() const { return *attention_; }
  // Zero at first; for the caller to fill and read. Rows may lie among those of other ranks.
  const TensorView& q() const { return q_; }
  const TensorView& k() const { return k_; }
  const TensorView& v() const { return v_; }
  const TensorView& output() const { return output_; }

 private:
  TensorView Allocate(AlignedBuffer& buffer, const TensorShard& shard, DataType type) const;

  std::unique_ptr<DistributedAttention> attention_;
  AlignedBuffer q_buffer_, k_buffer_, v_buffer_, output_buffer_;
  TensorView q_, k_, v_, output_;
};

}  // namespace attention

#endif  // SRC_PARALLEL_ATTENTION_RUN_H_
