#ifndef SRC_PARALLEL_CONTRACTS_REPLICATED_ATTENTION_H_
#define SRC_PARALLEL_CONTRACTS_REPLICATED_ATTENTION_H_

#include <memory>
#include <optional>
#include <vector>

#include "src/mpi/shared_memory.h"
#include "src/parallel/contracts/distributed_attention.h"
#include "src/parallel/partition/grid_communicators.h"

namespace attention {

// Everything a rank needs is there from the start: it reads its heads and its query tokens by views, and only
// outputs travel, each block straight into its place on the other ranks. Head-wise prefill (Megatron's
// attention) under native and replicated, sequence and grid under replicated, and decode over a head-sharded
// or replicated cache. Traffic per rank: its block of the output to each of the others, batch * its query
// heads * its query tokens * head_dim * (P - 1) floats; none if the output stays sharded.
//
// Heads are computed in pieces, and the outputs of one travel while the next is computed: with n pieces 1/n
// of the exchange is left at the end, if a float of output (2 * S FLOPs causal, 4 * S full) is computed for
// longer than it travels to P - 1 others: at 200 GFLOP/s and S = 4096 causal 41 ns, against 32 ns each on 1
// Gbit. An output row is final only when all its keys are seen, so nothing leaves earlier. A piece is whole
// KV heads, which no other piece reads again: a rank with one KV head, or one of decode's small outputs, has
// one piece.
//
// shared: the output of a node is one tensor, in memory that its ranks share. Each writes its heads there,
// and a barrier says that all are there: on one node nothing travels, and nothing is copied if the caller
// takes output_storage() for its output. Another barrier, at the begin, waits until nobody reads any more
// what the last run left. Between nodes a rank sends its heads to the rank in its place on each other node.
class ReplicatedAttention : public DistributedAttention {
 public:
  ReplicatedAttention(const AttentionPlan& plan, GridCommunicators communicators);

  size_t workspace_bytes() const override { return kernel_.workspace_bytes(); }
  TileSizes tiles() const override { return kernel_.tiles(); }
  std::optional<TensorView> output_storage() const override;

 protected:
  void Execute(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
               const TensorView& output, RunParts parts) override;
  void PlaceTokens() override;

 private:
  static std::vector<std::vector<HeadShare>> PiecesOf(const AttentionPlan& plan);
  const TokenSegments& QueryTokensOf(int rank) const {
    return group_tokens_[static_cast<size_t>(rank / plan_.head_parts)];
  }
  void Compute(RunParts parts, const HeadShare& piece, const ConstTensorView& q, const ConstTensorView& k,
               const ConstTensorView& v, const TensorView& output, RequestSet& leaving);
  void StartGather(size_t piece, const TensorView& output, RequestSet& leaving) const;
  void ComputeAndGather(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                        const TensorView& output, RunParts parts);

  // Before what may fail on one rank alone: the others make these with it.
  GridCommunicators communicators_;
  std::optional<Communicator> node_;  // with exchange shared, like the output
  std::unique_ptr<SharedMemory> shared_output_;
  bool gathers_;
  std::vector<TokenSegments> group_tokens_;     // queries by token group, as rows of the whole q
  TokenSegments key_tokens_;                    // all
  std::vector<std::vector<HeadShare>> pieces_;  // by head index
  KernelRunner kernel_;                         // for one piece; all of a rank's are alike
};

}  // namespace attention

#endif  // SRC_PARALLEL_CONTRACTS_REPLICATED_ATTENTION_H_
