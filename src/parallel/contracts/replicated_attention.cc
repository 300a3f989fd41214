#include "src/parallel/contracts/replicated_attention.h"

#include <algorithm>
#include <span>
#include <utility>

#include "src/mpi/copy_block.h"
#include "src/mpi/peers.h"
#include "src/mpi/request_set.h"
#include "src/parallel/partition/sequence_layout.h"

namespace attention {
namespace {

std::optional<Communicator> NodeOf(const AttentionPlan& plan, const Communicator& all) {
  if (plan.variant.exchange != Exchange::kShared) return std::nullopt;
  return all.Split(plan.rank / plan.parts_of_node, plan.rank);
}

int64_t WholeOutputBytes(const AttentionProblem& problem) {
  return OutputBytes(problem, problem.query_heads, problem.query_tokens);
}

// The whole output is the part of the node's first rank.
std::unique_ptr<SharedMemory> OutputOf(const AttentionPlan& plan, const std::optional<Communicator>& node) {
  if (!node) return nullptr;
  return std::make_unique<SharedMemory>(
      *node, node->rank() == 0 ? static_cast<size_t>(WholeOutputBytes(plan.problem)) : 0,
      plan.runs_of_machine);
}

}  // namespace

ReplicatedAttention::ReplicatedAttention(const AttentionPlan& plan, GridCommunicators communicators)
    : DistributedAttention(plan),
      communicators_(std::move(communicators)),
      node_(NodeOf(plan, communicators_.all())),
      shared_output_(OutputOf(plan, node_)),
      gathers_(plan.variant.exchange != Exchange::kNone),
      group_tokens_(QueryTokensByGroup(plan)),
      pieces_(PiecesOf(plan)),
      kernel_(plan, pieces_[static_cast<size_t>(plan.head_index())].front(),
              TokenCount(QueryTokensOf(plan.rank)), plan.problem.kv_tokens) {
  ReplicatedAttention::PlaceTokens();
}

std::optional<TensorView> ReplicatedAttention::output_storage() const {
  if (!shared_output_) return std::nullopt;
  const AttentionProblem& problem = plan_.problem;
  return HeadMajorView(shared_output_->part_of(0), DataType::kFloat32,
                       QueryShape(problem, problem.query_heads, problem.query_tokens));
}

void ReplicatedAttention::PlaceTokens() {
  const AttentionProblem& problem = plan_.problem;
  // Of a decode the position moves; a prefill's tokens are dealt once.
  if (plan_.token_parts == 1) group_tokens_ = QueryTokensByGroup(plan_);
  key_tokens_ = AllTokens(problem.kv_tokens);
  const HeadShare own = plan_.heads();
  const TokenSegments rows = AllTokens(problem.query_tokens, plan_.first_query_position());
  // Without an exchange everything stays head-sharded at both ends: column-parallel projections make only the
  // own heads, and the row-parallel one behind takes only them.
  output_shard_ = {own.query.begin, own.query.size(), rows};
  query_shard_ = output_shard_;
  if (gathers_) query_shard_ = output_shard_ = {0, problem.query_heads, rows};
  // A K/V cache is only ever read by the rank that owns its heads: under native, no other rank stores them.
  const bool keys_are_sharded = !gathers_ || (problem.is_decode() && plan_.contract == Contract::kNative);
  key_value_shard_ = keys_are_sharded ? TensorShard{own.kv.begin, own.kv.size(), key_tokens_}
                                      : TensorShard{0, problem.kv_heads, key_tokens_};
}

std::vector<std::vector<HeadShare>> ReplicatedAttention::PiecesOf(const AttentionPlan& plan) {
  const AttentionProblem& problem = plan.problem;
  const bool is_one_node = plan.variant.exchange == Exchange::kShared && plan.parts_of_node == plan.ranks;
  const bool gathers = plan.variant.exchange != Exchange::kNone && plan.ranks > 1 && !is_one_node;
  const int64_t block_bytes = gathers ? WholeOutputBytes(problem) / plan.ranks : 0;
  std::vector<std::vector<HeadShare>> pieces;
  for (int i = 0; i < plan.head_parts; ++i) pieces.push_back(plan.head_pieces_of(i, block_bytes));
  return pieces;
}

void ReplicatedAttention::Execute(const ConstTensorView& q, const ConstTensorView& k,
                                  const ConstTensorView& v, const TensorView& output, RunParts parts) {
  const std::optional<TensorView> shared = output_storage();
  if (!shared) return ComputeAndGather(q, k, v, output, parts);
  if (parts.exchange) shared_output_->Synchronise("node: outputs have been read");
  ComputeAndGather(q, k, v, *shared, parts);
  if (parts.exchange) shared_output_->Synchronise("node: outputs are there");
  if (parts.exchange && output.data != shared->data) CopyBlock(*shared, output);
}

void ReplicatedAttention::ComputeAndGather(const ConstTensorView& q, const ConstTensorView& k,
                                           const ConstTensorView& v, const TensorView& output,
                                           RunParts parts) {
  const std::vector<HeadShare>& own = pieces_[static_cast<size_t>(plan_.head_index())];
  size_t most = 0;  // ranks may have different numbers of pieces
  for (const std::vector<HeadShare>& pieces : pieces_) most = std::max(most, pieces.size());
  RequestSet leaving(communicators_.all(), parts.exchange && gathers_);
  for (size_t piece = 0; piece < most; ++piece) {
    if (piece < own.size()) Compute(parts, own[piece], q, k, v, output, leaving);
    StartGather(piece, output, leaving);
  }
  leaving.Wait("allgather of outputs", static_cast<int64_t>(most));
}

void ReplicatedAttention::Compute(RunParts parts, const HeadShare& piece, const ConstTensorView& q,
                                  const ConstTensorView& k, const ConstTensorView& v,
                                  const TensorView& output, RequestSet& leaving) {
  const int64_t kv_begin = piece.kv.begin - key_value_shard_.head_begin;
  const int64_t query_begin = piece.query.begin - query_shard_.head_begin;
  const int64_t output_begin = piece.query.begin - output_shard_.head_begin;
  const KeyValueShard keys = {k.SliceHeads(kv_begin, piece.kv.size()),
                              v.SliceHeads(kv_begin, piece.kv.size()), key_tokens_};
  kernel_.Accumulate(parts,
                     {.query = {q.SliceHeads(query_begin, piece.query.size()), QueryTokensOf(plan_.rank)},
                      .key_values = std::span(&keys, 1),
                      .output = output.SliceHeads(output_begin, piece.query.size())},
                     {&leaving});
}

void ReplicatedAttention::StartGather(size_t piece, const TensorView& output, RequestSet& leaving) const {
  // Of every rank, or of those in this place on other nodes.
  const int stride = shared_output_ ? plan_.parts_of_node : 1, place = plan_.rank % stride;
  const int rank = plan_.rank;
  // Calls use(block) for each segment of rank r's piece, if it has so many.
  const auto for_each_block = [&](int r, const TokenSegments& segments, auto use) {
    const std::vector<HeadShare>& pieces = pieces_[static_cast<size_t>(r % plan_.head_parts)];
    if (piece >= pieces.size()) return;
    const IndexRange& heads = pieces[piece].query;
    for (const TokenSegment& segment : segments) {
      use(output.SliceHeads(heads.begin, heads.size()).SliceTokens(segment.local_begin, segment.length));
    }
  };
  ForEachPeer(rank / stride, plan_.ranks / stride, [&](int from, int to) {
    const int source = from * stride + place, destination = to * stride + place;
    for_each_block(source, QueryTokensOf(source),
                   [&](const TensorView& block) { leaving.Receive({block}, source); });
    for_each_block(rank, QueryTokensOf(rank),
                   [&](const TensorView& block) { leaving.Send({block}, destination); });
  });
}

}  // namespace attention
