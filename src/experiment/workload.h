// What a case runs: inputs, buffers and the distributed attention, ready to be timed.
#ifndef SRC_EXPERIMENT_WORKLOAD_H_
#define SRC_EXPERIMENT_WORKLOAD_H_

#include <cstdint>
#include <memory>

#include "src/base/aligned_buffer.h"
#include "src/experiment/plan.h"
#include "src/mpi/communicator.h"
#include "src/parallel/distributed_attention.h"

namespace attention {

// Scope: attention. Inputs lie where the contract wants them, made by the counter-based generator.
class Workload {
 public:
  // Collective over `communicator`, which must outlive it. Throws the same Error on every rank.
  Workload(Communicator& communicator, const Cell& cell, const Case& made, BackendFactory backend);

  void Run() { attention_->Run(q_, k_, v_, output_); }
  void RunExchangeOnly() { attention_->RunExchangeOnly(q_, k_, v_, output_); }
  void RunComputeOnly() { attention_->RunComputeOnly(q_, k_, v_, output_); }

  // NaN everywhere, so that a row nobody writes is seen.
  void PoisonOutput();
  ConstTensorView output() const { return output_; }
  const TensorShard& output_shard() const { return attention_->output_shard(); }

  int64_t comm_bytes() const { return attention_->comm_bytes_formula(); }
  int64_t workspace_bytes() const { return static_cast<int64_t>(attention_->workspace_bytes()); }
  int64_t input_bytes() const;
  TileSizes tiles() const { return attention_->tiles(); }

 private:
  std::unique_ptr<DistributedAttention> attention_;
  AlignedBuffer q_buffer_, k_buffer_, v_buffer_, output_buffer_;
  TensorView q_, k_, v_, output_;
};

}  // namespace attention

#endif  // SRC_EXPERIMENT_WORKLOAD_H_
