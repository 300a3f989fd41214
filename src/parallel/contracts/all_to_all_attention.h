#ifndef SRC_PARALLEL_CONTRACTS_ALL_TO_ALL_ATTENTION_H_
#define SRC_PARALLEL_CONTRACTS_ALL_TO_ALL_ATTENTION_H_

#include "src/parallel/contracts/distributed_attention.h"
#include "src/parallel/exchanges/head_exchange.h"
#include "src/parallel/partition/grid_communicators.h"

namespace attention {

// Prefill with tokens sharded at both ends, heads divided in between (DeepSpeed-Ulysses): an all-to-all
// brings a rank all tokens of its heads, one call of the kernel per piece of heads computes them, an
// all-to-all takes the outputs home.
//
//   exchange   q k v 0 | q k v 1 | q k v 2, o 0 | q k v 3, o 1 | o 2     | o 3
//   kernel             | 0       | 1            | 2            | 3       |
//
// With n pieces 1/n of either direction is left in the open, if a piece computes for longer than it travels:
// per query row and head 2 * S * head_dim FLOPs causal (4 full) against head_dim * (2 + 2 / group) * (P - 1)
// / P elements: at 200 GFLOP/s, S = 4096, group 4 and P = 2, 5.2 us against 5.1 us on 1 Gbit. Only one piece
// is sent ahead: with all at once the first would share the link with the others and come late. A piece is
// whole KV heads, so none travels twice; see HeadExchange for the traffic.
class AllToAllAttention : public DistributedAttention {
 public:
  AllToAllAttention(const AttentionPlan& plan, GridCommunicators communicators);

  size_t workspace_bytes() const override { return exchange_.workspace_bytes() + kernel_.workspace_bytes(); }
  TileSizes tiles() const override { return kernel_.tiles(); }

 protected:
  void Execute(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
               const TensorView& output, RunParts parts) override;

 private:
  void Compute(RunParts parts, const HeadShare& piece, const std::vector<RequestSet*>& under_way);

  GridCommunicators communicators_;
  HeadExchange exchange_;
  KernelRunner kernel_;  // for one piece; all of a rank's are alike
};

}  // namespace attention

#endif  // SRC_PARALLEL_CONTRACTS_ALL_TO_ALL_ATTENTION_H_
