// One distributed attention: partition (who owns what) + exchange (how it moves) + a kernel backend.
#ifndef SRC_PARALLEL_CONTRACTS_DISTRIBUTED_ATTENTION_H_
#define SRC_PARALLEL_CONTRACTS_DISTRIBUTED_ATTENTION_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "src/attention/attention_backend.h"
#include "src/mpi/communicator.h"
#include "src/parallel/exchanges/kernel_runner.h"
#include "src/parallel/exchanges/sequence_stage.h"
#include "src/parallel/partition/attention_plan.h"
#include "src/parallel/partition/communication.h"
#include "src/parallel/strategy/strategy.h"

namespace attention {

// The part of a global [batch, heads, tokens, head_dim] tensor that this rank holds: heads
// [head_begin, head_begin + head_count), and the tokens of `segments`, stored in that order.
struct TensorShard {
  int64_t head_begin = 0;
  int64_t head_count = 0;
  std::vector<TokenSegment> segments;

  int64_t local_tokens() const;
};

// Built once per case by all ranks of the communicator together: plans, allocates and touches every buffer.
// Run() then does what is timed: communication, packing and computing, nothing allocated.
class DistributedAttention {
 public:
  virtual ~DistributedAttention() = default;

  // Decode, while the K/V cache grows: from now on kv_tokens keys, no more than at construction. The shards
  // change with it. Local, but every rank says the same; no buffer is allocated. Error if this is a prefill.
  void SetKvTokens(int64_t kv_tokens);

  // What Run() expects and leaves on this rank, by the contract.
  const TensorShard& query_shard() const { return query_shard_; }
  const TensorShard& key_value_shard() const { return key_value_shard_; }
  const TensorShard& output_shard() const { return output_shard_; }

  // Where K and V of this rank may be kept to spare their copy (exchanges/sequence_stage.h), with the shape
  // of key_value_shard(); none if it makes no difference.
  virtual std::optional<KeyValueStorage> key_value_storage() const { return std::nullopt; }
  // The same of Q, of query_shard().
  virtual std::optional<TensorView> query_storage() const { return std::nullopt; }
  // The same of the output, of output_shard(). Other ranks write it, too: after Run() it stays as it is until
  // this rank calls Run() again, or any rank of the node one of the others below. Those two do not wait for
  // the other ranks where nothing moves: whoever calls them, or writes to a storage after them, sees to it
  // that no rank of the node is in a call before.
  virtual std::optional<TensorView> output_storage() const { return std::nullopt; }

  // Collective. q, output: [batch, heads, local tokens, head_dim] of their shards; k, v of theirs; any
  // strides. output is float32, the others the problem's type. Throws Error if a view does not fit.
  void Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
           const TensorView& output);
  // The same without computing, and without moving: they measure the parts (results are meaningless, sizes
  // true).
  void RunExchangeOnly(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                       const TensorView& output);
  void RunComputeOnly(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                      const TensorView& output);

  // Payload bytes this rank sends to other ranks in one Run(), by the formula of the exchange's row.
  int64_t comm_bytes_formula() const { return BytesSent(plan_); }
  const AttentionPlan& plan() const { return plan_; }
  // Kernel workspace plus exchange buffers, bytes on this rank.
  virtual size_t workspace_bytes() const = 0;
  // The kernel's tiles in use.
  virtual TileSizes tiles() const = 0;

 protected:
  explicit DistributedAttention(const AttentionPlan& plan)
      : plan_(plan), max_kv_tokens_(plan.problem.kv_tokens) {}
  // Sets tokens and shards by plan_, whose kv_tokens changed; buffers stay. Only where decoding is possible.
  virtual void PlaceTokens() {}
  virtual void Execute(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                       const TensorView& output, RunParts parts) = 0;

  AttentionPlan plan_;
  TensorShard query_shard_;
  TensorShard key_value_shard_;
  TensorShard output_shard_;

 private:
  void CheckViews(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                  const TensorView& output) const;

  int64_t max_kv_tokens_;
};

}  // namespace attention

#endif  // SRC_PARALLEL_CONTRACTS_DISTRIBUTED_ATTENTION_H_
