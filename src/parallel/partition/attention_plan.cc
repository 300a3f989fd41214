#include "src/parallel/partition/attention_plan.h"

#include <algorithm>
#include <map>

#include "src/base/aligned_buffer.h"
#include "src/base/error.h"

namespace attention {
namespace {

// One piece in eight is not hidden behind computing; more would hide little more.
constexpr int64_t kMostHeadPieces = 8;

void CheckSizes(const AttentionProblem& problem) {
  Require(problem.batch >= 1, "batch ", problem.batch, " is not at least 1");
  Require(problem.query_heads >= 1 && problem.kv_heads >= 1, "heads ", problem.query_heads, "/",
          problem.kv_heads, " are not at least 1");
  Require(problem.query_heads % problem.kv_heads == 0, "query heads ", problem.query_heads,
          " are not a multiple of KV heads ", problem.kv_heads);
  Require(problem.head_dim >= 1, "head_dim ", problem.head_dim, " is not at least 1");
  Require(problem.query_tokens >= 0 && problem.query_tokens <= problem.kv_tokens, "query tokens ",
          problem.query_tokens, " are not between 0 and the ", problem.kv_tokens, " tokens of the sequence");
  const std::string wrong_mask = problem.mask.WhyInvalid(problem.kv_tokens);
  Require(wrong_mask.empty(), wrong_mask);
  // Every size of a strategy is at most a few times the largest whole tensor.
  int64_t bytes = CheckedProduct(problem.batch, problem.query_heads, "tensor size");
  bytes = CheckedProduct(bytes, problem.kv_tokens, "tensor size");
  bytes = CheckedProduct(bytes, problem.head_dim + 2, "tensor size");
  CheckedProduct(bytes, 64, "tensor size");
}

}  // namespace

AttentionPlan AttentionPlan::Make(const AttentionProblem& problem, const Variant& variant, Contract contract,
                                  const ExecutionOptions& options, int ranks, int rank) {
  CheckSizes(problem);
  const Phase phase = problem.is_decode() ? Phase::kDecode : Phase::kPrefill;
  const std::string why = WhyInvalid(variant, contract, phase);
  Require(why.empty(), why);
  Require(problem.is_decode() || problem.key_value_type() == problem.data_type, "a prefill over keys of ",
          Name(problem.key_value_type()), ", which nothing moves; valid: ", Name(problem.data_type));
  Require(options.threads >= 1, "threads ", options.threads, " is not at least 1");
  Require(problem.cached_tokens() == 0 || variant.sharding != Sharding::kBalanced,
          "sharding balanced deals a sequence that begins here; behind ", problem.cached_tokens(),
          " cached tokens name contiguous or zigzag");
  AttentionPlan plan = {problem, variant, contract, options, ranks, rank, 1, 1};
  if (variant.grid.is_set()) {
    plan.head_parts = variant.grid.headwise;
    plan.token_parts = variant.grid.sequence;
    Require(int64_t{plan.head_parts} * plan.token_parts == ranks, "grid ", plan.head_parts, "x",
            plan.token_parts, " does not have ", ranks, " ranks");
  } else if (variant.strategy == ParallelStrategy::kHeadwise) {
    plan.head_parts = ranks;
  } else {
    plan.token_parts = ranks;
  }
  plan.parts_of_node = variant.strategy == ParallelStrategy::kHeadwise ? ranks : plan.token_parts;
  return plan;
}

void AttentionPlan::SetNodes(const std::vector<int>& node_of_rank) {
  const bool divides_heads = variant.strategy == ParallelStrategy::kHeadwise;
  const int parts = divides_heads ? ranks : token_parts, stride = divides_heads ? 1 : head_parts;
  // Is every run of so many neighbours on one node, in each place?
  const auto are_together = [&](int run) {
    for (int r = 0; r < ranks; ++r) {
      const int first = r - r / stride % run * stride;
      if (node_of_rank[static_cast<size_t>(r)] != node_of_rank[static_cast<size_t>(first)]) return false;
    }
    return true;
  };
  int run = parts;
  while (run > 1 && (parts % run != 0 || !are_together(run))) --run;
  parts_of_node = run;
  std::map<int, int> ranks_of_node;
  for (int node : node_of_rank) ++ranks_of_node[node];
  for (const auto& [node, count] : ranks_of_node) runs_of_machine = std::max(runs_of_machine, count / run);
}

PlanEnds AttentionPlan::ends() const {
  const bool splits_keys = variant.strategy == ParallelStrategy::kSequence;
  if (problem.is_decode() && splits_keys) return PlanEnds::kSplitKeys;
  const bool starts_complete =
      contract == Contract::kReplicated ||
      (contract == Contract::kNative && variant.strategy == ParallelStrategy::kHeadwise);
  if (starts_complete) return PlanEnds::kReplicated;
  return head_parts > 1 && token_parts == 1 ? PlanEnds::kHeads : PlanEnds::kTokens;
}

bool AttentionPlan::shares_tokens() const {
  return ends() == PlanEnds::kHeads && variant.strategy == ParallelStrategy::kHeadwise &&
         variant.exchange == Exchange::kShared;
}

HeadShare AttentionPlan::heads_of(int head_index) const {
  return ShareOfHeads(problem.query_heads, problem.kv_heads, head_parts, head_index);
}

IndexRange AttentionPlan::merged_heads() const { return merged_heads_of(token_index()); }

IndexRange AttentionPlan::merged_heads_of(int token_index) const {
  const IndexRange all = heads().query;
  if (variant.exchange != Exchange::kAllToAll) return all;
  const IndexRange part = BalancedRange(all.size(), token_parts, token_index);
  return {all.begin + part.begin, all.begin + part.end};
}

int64_t AttentionPlan::most_head_pieces(int64_t block_bytes) const {
  return std::clamp<int64_t>(
      block_bytes / (std::max<int64_t>(1, options.least_block_bytes) * options.threads), 1, kMostHeadPieces);
}

std::vector<HeadShare> AttentionPlan::head_pieces_of(int head_index, int64_t block_bytes) const {
  return CutHeads(heads_of(head_index), problem.group_size(), most_head_pieces(block_bytes));
}

std::string AttentionPlan::Description() const {
  return internal::Concatenate(
      Name(variant), " contract=", Name(contract), " batch=", problem.batch, " heads=", problem.query_heads,
      "/", problem.kv_heads, " head_dim=", problem.head_dim, " query_tokens=", problem.query_tokens,
      " kv_tokens=", problem.kv_tokens, " mask=", Name(problem.mask), " dtype=", Name(problem.data_type),
      " keys=", Name(problem.key_value_type()), " decode=", problem.is_decode(), " isa=", Name(options.isa),
      " threads=", options.threads, " poll=", options.poll_progress,
      " least_block_bytes=", options.least_block_bytes);
}

TensorShape QueryShape(const AttentionProblem& problem, int64_t heads, int64_t tokens) {
  return {problem.batch, heads, tokens, problem.head_dim};
}

int64_t InputBytes(const AttentionProblem& problem, int64_t heads, int64_t tokens) {
  return problem.batch * heads * tokens * problem.head_dim * static_cast<int64_t>(SizeOf(problem.data_type));
}

int64_t OutputBytes(const AttentionProblem& problem, int64_t heads, int64_t tokens) {
  return problem.batch * heads * tokens * problem.head_dim * static_cast<int64_t>(sizeof(float));
}

int64_t StateBytes(const AttentionProblem& problem, int64_t heads, int64_t tokens) {
  return problem.batch * heads * tokens * (problem.head_dim + 2) * static_cast<int64_t>(sizeof(float));
}

}  // namespace attention
