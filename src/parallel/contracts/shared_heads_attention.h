#ifndef SRC_PARALLEL_CONTRACTS_SHARED_HEADS_ATTENTION_H_
#define SRC_PARALLEL_CONTRACTS_SHARED_HEADS_ATTENTION_H_

#include <optional>
#include <vector>

#include "src/mpi/communicator.h"
#include "src/mpi/shared_memory.h"
#include "src/parallel/contracts/distributed_attention.h"
#include "src/parallel/exchanges/head_pipeline.h"
#include "src/parallel/exchanges/kernel_runner.h"
#include "src/parallel/partition/sequence_layout.h"

namespace attention {

// Prefill with tokens sharded at both ends, heads divided in between, where the ranks of a node share memory:
// what is an all-to-all elsewhere (all_to_all_attention.h) is a barrier here. Q, K, V and the output of all
// tokens of a node are four tensors, a rank's rows behind those of the ranks before it:
//
//                      written by                    read by
//   Q, K, V    rank r: its tokens, all heads         rank r: its heads, all tokens
//   output     rank r: its heads, all tokens         rank r: its tokens, all heads
//
// On one node nothing travels, and nothing is copied if the caller keeps its tensors in the storages. One
// barrier says that Q, K and V are there, which also means that nobody reads the outputs of the run before;
// another that the outputs are, and nobody reads Q, K and V any more.
//
// Between nodes the tokens of a node are one party's: a rank exchanges with those in its place on the other
// nodes, N of them instead of P, each with all tokens of its node. As many bytes cross, in fewer messages (of
// a prefill without a cache, whose tokens follow each other, a P / N-th of them); they hide as those of the
// all-to-all of all ranks do. A node's own part is copied beside them. Behind cached tokens a node's keys are
// as many runs as its ranks have: kernels see them all.
//
// The tensors are the part of the node's first rank, who touches them first: on a node of several sockets the
// others read and write its memory.
class SharedHeadsAttention : public DistributedAttention {
 public:
  // Collective.
  SharedHeadsAttention(const AttentionPlan& plan, const Communicator& all);

  std::optional<TensorView> query_storage() const override { return Own(node_.q, query_rows_); }
  std::optional<KeyValueStorage> key_value_storage() const override {
    return KeyValueStorage{Own(node_.k, key_rows_), Own(node_.v, key_rows_)};
  }
  std::optional<TensorView> output_storage() const override { return Own(node_.output, query_rows_); }
  size_t workspace_bytes() const override;
  TileSizes tiles() const override;

 protected:
  void Execute(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
               const TensorView& output, RunParts parts) override;

 private:
  // Of all tokens of this node, all heads.
  struct NodeTensors {
    TensorView q, k, v, output;
  };
  static size_t BytesOf(const AttentionProblem& problem, const TokenShare& tokens);
  NodeTensors PlaceTensors() const;
  static TensorView Own(const TensorView& tensor, const IndexRange& rows) {
    return tensor.SliceTokens(rows.begin, rows.size());
  }
  void KeepOwn(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v) const;
  void ComputeOwnHeads(RunParts parts);

  std::optional<Communicator> ranks_of_node_, ranks_in_place_;  // always there
  std::vector<TokenShare> by_node_;                             // as rows of the node's tensors
  IndexRange query_rows_, key_rows_;
  SharedMemory memory_;  // before what may fail on one rank alone: the others are in here with it
  NodeTensors node_;
  std::optional<HeadPipeline> between_nodes_;
  std::optional<KernelRunner> kernel_;  // on one node
};

}  // namespace attention

#endif  // SRC_PARALLEL_CONTRACTS_SHARED_HEADS_ATTENTION_H_
