// The head-wise all-to-all (DeepSpeed-Ulysses): from "my tokens, all heads" to "all tokens of the group, my
// heads", and back with the output.
#ifndef SRC_PARALLEL_EXCHANGES_HEAD_EXCHANGE_H_
#define SRC_PARALLEL_EXCHANGES_HEAD_EXCHANGE_H_

#include <cstdint>
#include <vector>

#include "src/mpi/communicator.h"
#include "src/mpi/request_set.h"
#include "src/parallel/exchanges/tensor_buffer.h"
#include "src/parallel/partition/attention_plan.h"
#include "src/parallel/partition/partition.h"
#include "src/parallel/partition/sequence_layout.h"

namespace attention {

// Blocks arrive at their final place, in global token order, so kernels see few segments whatever the
// sharding. A KV head that several ranks read is sent to each of them. Traffic per rank, elements: batch *
// head_dim * (S_r * sum over others of (their query heads + 2 * their KV heads) + own query heads * (S_group
// - S_r)), in pieces or not; where tokens are cached, S_r counts them for the KV heads alone.
class HeadExchange {
 public:
  // One exchange moves all heads of a rank, or one of several alike pieces, which can then be computed while
  // others travel.
  enum class Pieces { kOne, kSeveral };

  // By rank of `communicator`: its tokens, and its heads, plan.heads_of(head_indices[rank]).
  HeadExchange(const AttentionPlan& plan, const std::vector<TokenShare>& tokens,
               const std::vector<int>& head_indices, const Communicator& communicator, Pieces pieces);

  // The pieces of this rank's heads, and the most that any rank has: every rank starts so many exchanges in
  // either direction, in the same order.
  const std::vector<HeadShare>& own_pieces() const { return pieces_[rank_]; }
  size_t most_pieces() const { return most_pieces_; }

  // Start to move one piece of every rank's heads, and copy what stays; nothing beyond the last piece. q, k,
  // v and output: all heads, own tokens. Once `requests` are done, q(), k() and v() hold the piece, or
  // `output` everybody's.
  void StartTokensToHeads(size_t piece, const ConstTensorView& q, const ConstTensorView& k,
                          const ConstTensorView& v, RequestSet& requests);
  void StartHeadsToTokens(size_t piece, const TensorView& output, RequestSet& requests);

  // Own heads of the group's tokens; of one piece or all.
  TensorView q() const { return q_.view(); }
  TensorView k() const { return key_value_.k.view(); }
  TensorView v() const { return key_value_.v.view(); }
  TensorView output() const { return output_.view(); }
  TensorView q(const HeadShare& piece) const { return OfPiece(q(), piece.query, heads_[rank_].query); }
  TensorView k(const HeadShare& piece) const { return OfPiece(k(), piece.kv, heads_[rank_].kv); }
  TensorView v(const HeadShare& piece) const { return OfPiece(v(), piece.kv, heads_[rank_].kv); }
  TensorView output(const HeadShare& piece) const {
    return OfPiece(output(), piece.query, heads_[rank_].query);
  }
  const TokenSegments& group_queries() const { return group_queries_; }
  const TokenSegments& group_keys() const { return group_keys_; }

  size_t workspace_bytes() const { return q_.size_bytes() + key_value_.size_bytes() + output_.size_bytes(); }

 private:
  static TensorView OfPiece(const TensorView& tensor, const IndexRange& piece, const IndexRange& own) {
    return tensor.SliceHeads(piece.begin - own.begin, piece.size());
  }
  // Where `segment` of some rank lies in a tensor of the group's queries, or keys.
  static TensorView InGroup(const TensorView& tensor, const TokenSegments& group,
                            const TokenSegment& segment) {
    return tensor.SliceTokens(LocalRow(group, segment.global_begin), segment.length);
  }
  // Rank r's piece; no heads if it has fewer.
  HeadShare PieceOf(size_t r, size_t piece) const;

  AttentionProblem problem_;
  size_t rank_;
  size_t size_;
  std::vector<HeadShare> heads_;                // by rank
  std::vector<std::vector<HeadShare>> pieces_;  // by rank
  size_t most_pieces_ = 0;
  std::vector<TokenShare> tokens_;  // by rank
  TokenSegments group_queries_, group_keys_;
  TensorBuffer q_;
  KeyValueBuffer key_value_;
  TensorBuffer output_;
};

}  // namespace attention

#endif  // SRC_PARALLEL_EXCHANGES_HEAD_EXCHANGE_H_
