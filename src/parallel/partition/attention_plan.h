// What one distributed attention is, decided before anything moves: who computes which heads and tokens.
#ifndef SRC_PARALLEL_PARTITION_ATTENTION_PLAN_H_
#define SRC_PARALLEL_PARTITION_ATTENTION_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "src/attention/attention_backend.h"
#include "src/parallel/partition/partition.h"
#include "src/parallel/strategy/strategy.h"

namespace attention {

// How the kernels run on each rank.
struct ExecutionOptions {
  Isa isa = Isa::kScalar;
  int threads = 1;
  BackendFactory backend = nullptr;
  bool poll_progress = true;  // poll MPI from the kernel's progress callback
  // Work is cut by heads into pieces: outputs of one piece travel while the next is computed, and keys that
  // arrive during one piece serve the next. A piece has at least so many bytes per thread, because each ends
  // in a barrier of the threads, which costs about half a tile's time; 1 MiB is six tiles.
  int64_t least_block_bytes = int64_t{1} << 20;
};

// Where a plan's run starts and ends, which chooses the contract's implementation (parallel/contracts).
enum class PlanEnds {
  kReplicated,  // all that a rank needs is there from the start; outputs are gathered, or stay
  kSplitKeys,   // decode: queries everywhere, keys and values sharded by tokens, or read so
  kHeads,       // tokens sharded at both ends, heads in between
  kTokens,      // tokens sharded throughout
};

// Every strategy is a grid: head_parts x token_parts = ranks. headwise is P x 1, sequence 1 x P. Rank r has
// place r % head_parts among the ranks that divide heads, and belongs to token group r / head_parts.
struct AttentionPlan {
  AttentionProblem problem;
  Variant variant;
  Contract contract = Contract::kNative;
  ExecutionOptions options;
  int ranks = 1;
  int rank = 0;
  int head_parts = 1;
  int token_parts = 1;
  // Exchange shared: each node has so many neighbours of those that divide the tokens (headwise: the heads),
  // a divisor of their number. Make() says all of them: one node. MakeDistributedAttention asks MPI.
  int parts_of_node = 1;
  // How many such runs of ranks, each with memory of its own to share, one machine has at most.
  int runs_of_machine = 1;

  // Throws Error (bad usage) if the combination, the sizes or the grid are not valid.
  static AttentionPlan Make(const AttentionProblem& problem, const Variant& variant, Contract contract,
                            const ExecutionOptions& options, int ranks, int rank);

  // parts_of_node, from the node of each rank: the most that holds for every node and place.
  void SetNodes(const std::vector<int>& node_of_rank);

  PlanEnds ends() const;
  // headwise(shared) between sharded tokens: those of a node's ranks are in memory that they share.
  bool shares_tokens() const;
  int head_index() const { return rank % head_parts; }
  int token_index() const { return rank / head_parts; }
  // Heads by place in the group.
  HeadShare heads_of(int head_index) const;
  HeadShare heads() const { return heads_of(head_index()); }
  // Decode over keys that several ranks share: the query heads whose partial states come together on this
  // rank and whose outputs it has. All of heads(); with all_to_all its part of them.
  IndexRange merged_heads() const;
  // The same of the rank at place `token_index` among those that share this rank's heads.
  IndexRange merged_heads_of(int token_index) const;
  // Into how many pieces work on `block_bytes` may be cut.
  int64_t most_head_pieces(int64_t block_bytes) const;
  // heads_of() cut into pieces that are computed one after the other. `block_bytes`: what one rank sends to
  // another without cutting, equal on all ranks.
  std::vector<HeadShare> head_pieces_of(int head_index, int64_t block_bytes) const;

  // Global position of query row 0.
  int64_t first_query_position() const { return problem.kv_tokens - problem.query_tokens; }
  // Everything that all ranks must have in common, as text.
  std::string Description() const;
};

// A shape of this problem, and the bytes of rows of it.
TensorShape QueryShape(const AttentionProblem& problem, int64_t heads, int64_t tokens);
int64_t InputBytes(const AttentionProblem& problem, int64_t heads, int64_t tokens);   // Q, or K, or V
int64_t OutputBytes(const AttentionProblem& problem, int64_t heads, int64_t tokens);  // float32
int64_t StateBytes(const AttentionProblem& problem, int64_t heads, int64_t tokens);   // o, m and l, float32

}  // namespace attention

#endif  // SRC_PARALLEL_PARTITION_ATTENTION_PLAN_H_
