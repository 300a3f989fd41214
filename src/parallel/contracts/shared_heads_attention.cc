#include "src/parallel/contracts/shared_heads_attention.h"

#include <span>

#include "src/mpi/copy_block.h"

namespace attention {
namespace {

int NodeOf(const AttentionPlan& plan, int rank) { return rank / plan.parts_of_node; }

// Where the rows of this rank lie among those of its node.
IndexRange RowsOf(const AttentionPlan& plan, const std::vector<TokenSegments>& by_rank) {
  const int first = NodeOf(plan, plan.rank) * plan.parts_of_node;
  IndexRange rows;
  for (int rank = first; rank <= plan.rank; ++rank) {
    rows = {rows.end, rows.end + TokenCount(by_rank[static_cast<size_t>(rank)])};
  }
  return rows;
}

// The ranks in this rank's place, by node; their number is their place among those that divide heads.
std::vector<int> RanksInPlace(const AttentionPlan& plan) {
  std::vector<int> ranks;
  for (int rank = plan.rank % plan.parts_of_node; rank < plan.ranks; rank += plan.parts_of_node) {
    ranks.push_back(rank);
  }
  return ranks;
}

void CopyUnlessThere(const ConstTensorView& from, const TensorView& to) {
  if (from.data != to.data) CopyBlock(from, to);
}

}  // namespace

SharedHeadsAttention::SharedHeadsAttention(const AttentionPlan& plan, const Communicator& all)
    : DistributedAttention(plan),
      ranks_of_node_(all.Split(NodeOf(plan, plan.rank), plan.rank)),
      ranks_in_place_(all.Split(plan.rank % plan.parts_of_node, plan.rank)),
      by_node_(TokensByNode(plan)),
      query_rows_(RowsOf(plan, QueriesOf(TokensByRank(plan)))),
      key_rows_(RowsOf(plan, KeysOf(TokensByRank(plan)))),
      memory_(*ranks_of_node_,
              ranks_of_node_->rank() == 0
                  ? BytesOf(plan.problem, by_node_[static_cast<size_t>(NodeOf(plan, plan.rank))])
                  : 0,
              plan.runs_of_machine),
      node_(PlaceTensors()) {
  const TokenShare own = TokensOfRank(plan, plan.rank);
  query_shard_ = {0, plan.problem.query_heads, own.queries};
  key_value_shard_ = {0, plan.problem.kv_heads, own.keys};
  output_shard_ = query_shard_;
  if (by_node_.size() > 1) {
    between_nodes_.emplace(plan, by_node_, RanksInPlace(plan), *ranks_in_place_);
  } else {
    kernel_.emplace(plan, plan.heads(), plan.problem.query_tokens, plan.problem.kv_tokens);
  }
}

size_t SharedHeadsAttention::BytesOf(const AttentionProblem& problem, const TokenShare& tokens) {
  const int64_t queries = TokenCount(tokens.queries), keys = TokenCount(tokens.keys);
  return static_cast<size_t>(InputBytes(problem, problem.query_heads, queries) +
                             2 * InputBytes(problem, problem.kv_heads, keys) +
                             OutputBytes(problem, problem.query_heads, queries));
}

SharedHeadsAttention::NodeTensors SharedHeadsAttention::PlaceTensors() const {
  const AttentionProblem& problem = plan_.problem;
  const TokenShare& tokens = by_node_[static_cast<size_t>(NodeOf(plan_, plan_.rank))];
  const TensorShape queries = QueryShape(problem, problem.query_heads, TokenCount(tokens.queries));
  const TensorShape keys = QueryShape(problem, problem.kv_heads, TokenCount(tokens.keys));
  std::byte* at = memory_.part_of(0);
  const auto next = [&](DataType type, const TensorShape& shape) {
    const TensorView view = HeadMajorView(at, type, shape);
    at += StorageBytes(type, shape);
    return view;
  };
  // The output, of the widest elements, first: what follows is aligned for its own.
  NodeTensors tensors;
  tensors.output = next(DataType::kFloat32, queries);
  tensors.q = next(problem.data_type, queries);
  tensors.k = next(problem.data_type, keys);
  tensors.v = next(problem.data_type, keys);
  return tensors;
}

void SharedHeadsAttention::KeepOwn(const ConstTensorView& q, const ConstTensorView& k,
                                   const ConstTensorView& v) const {
  CopyUnlessThere(q, Own(node_.q, query_rows_));
  CopyUnlessThere(k, Own(node_.k, key_rows_));
  CopyUnlessThere(v, Own(node_.v, key_rows_));
}

void SharedHeadsAttention::ComputeOwnHeads(RunParts parts) {
  const HeadShare own = plan_.heads();
  const auto of = [](const TensorView& tensor, const IndexRange& heads) {
    return tensor.SliceHeads(heads.begin, heads.size());
  };
  const KeyValueShard keys = {of(node_.k, own.kv), of(node_.v, own.kv), by_node_.front().keys};
  kernel_->Accumulate(parts,
                      {.query = {of(node_.q, own.query), by_node_.front().queries},
                       .key_values = std::span(&keys, 1),
                       .output = of(node_.output, own.query)},
                      {});
}

void SharedHeadsAttention::Execute(const ConstTensorView& q, const ConstTensorView& k,
                                   const ConstTensorView& v, const TensorView& output, RunParts parts) {
  if (parts.exchange) {
    KeepOwn(q, k, v);
    memory_.Synchronise("node: queries, keys and values are there");
  }
  if (between_nodes_) {
    between_nodes_->Run(node_.q, node_.k, node_.v, node_.output, parts);
  } else {
    ComputeOwnHeads(parts);
  }
  if (!parts.exchange) return;
  memory_.Synchronise("node: outputs are there");
  if (output.data != Own(node_.output, query_rows_).data) CopyBlock(Own(node_.output, query_rows_), output);
}

size_t SharedHeadsAttention::workspace_bytes() const {
  return between_nodes_ ? between_nodes_->workspace_bytes() : kernel_->workspace_bytes();
}

TileSizes SharedHeadsAttention::tiles() const {
  return between_nodes_ ? between_nodes_->tiles() : kernel_->tiles();
}

}  // namespace attention
