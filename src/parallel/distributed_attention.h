// One distributed attention: partition (who owns what) + exchange (how it moves) + a kernel backend.
#ifndef SRC_PARALLEL_DISTRIBUTED_ATTENTION_H_
#define SRC_PARALLEL_DISTRIBUTED_ATTENTION_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "src/kernels/attention_backend.h"
#include "src/mpi/communicator.h"
#include "src/parallel/strategy.h"

namespace attention {

// The part of a global [batch, heads, tokens, head_dim] tensor that this rank holds: heads
// [head_begin, head_begin + head_count), and the tokens of `segments`, stored in that order.
struct TensorShard {
  int64_t head_begin = 0;
  int64_t head_count = 0;
  std::vector<TokenSegment> segments;

  int64_t local_tokens() const;
};

// How the kernels run on each rank.
struct ExecutionOptions {
  Isa isa = Isa::kScalar;
  int threads = 1;
  BackendFactory backend = nullptr;
  bool poll_progress = true;  // poll MPI from the kernel's progress callback
};

// Built once per case by all ranks of the communicator together: plans, allocates and touches every buffer.
// Run() then does what is timed: communication, packing and computing, nothing allocated.
class DistributedAttention {
 public:
  virtual ~DistributedAttention() = default;

  // Throws the same Error on every rank if the combination or the sizes are not valid. `communicator` must
  // outlive the result.
  static std::unique_ptr<DistributedAttention> Create(Communicator& communicator,
                                                      const AttentionProblem& problem, const Variant& variant,
                                                      Contract contract, const ExecutionOptions& options);

  // What Run() expects and leaves on this rank, by the contract.
  const TensorShard& query_shard() const { return query_shard_; }
  const TensorShard& key_value_shard() const { return key_value_shard_; }
  const TensorShard& output_shard() const { return output_shard_; }

  // Collective. q, output: [batch, heads, local tokens, head_dim] of their shards; k, v of theirs; any
  // strides.
  virtual void Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                   const TensorView& output) = 0;
  // The same without computing, and without moving: they measure the parts (results are meaningless, sizes
  // true).
  virtual void RunExchangeOnly(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                               const TensorView& output) = 0;
  virtual void RunComputeOnly(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                              const TensorView& output) = 0;

  // Payload bytes this rank sends to other ranks in one Run(), by the strategy's formula. Equals what the
  // communicator counts, in a test.
  virtual int64_t comm_bytes_formula() const = 0;
  // Kernel workspace plus exchange buffers, bytes on this rank.
  virtual size_t workspace_bytes() const = 0;
  // The kernel's tiles in use.
  virtual TileSizes tiles() const = 0;

 protected:
  TensorShard query_shard_;
  TensorShard key_value_shard_;
  TensorShard output_shard_;
};

}  // namespace attention

#endif  // SRC_PARALLEL_DISTRIBUTED_ATTENTION_H_
