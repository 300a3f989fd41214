#include "src/parallel/exchanges/head_exchange.h"

#include <algorithm>

#include "src/mpi/peers.h"

namespace attention {
namespace {

template <typename View>
View Block(const View& tensor, const IndexRange& heads, const TokenSegment& segment) {
  return tensor.SliceHeads(heads.begin, heads.size()).SliceTokens(segment.local_begin, segment.length);
}

}  // namespace

HeadExchange::HeadExchange(const AttentionPlan& plan, const std::vector<TokenShare>& tokens,
                           const std::vector<int>& head_indices, const Communicator& communicator,
                           Pieces pieces)
    : problem_(plan.problem),
      rank_(static_cast<size_t>(communicator.rank())),
      size_(static_cast<size_t>(communicator.size())),
      tokens_(tokens),
      group_queries_(JoinTokens(QueriesOf(tokens))),
      group_keys_(JoinTokens(KeysOf(tokens))) {
  const int64_t rows = TokenCount(group_queries_);
  // Its heads, of one rank's tokens.
  const int64_t block_bytes = pieces == Pieces::kSeveral
                                  ? OutputBytes(problem_, problem_.query_heads, rows) /
                                        (plan.head_parts * int64_t{communicator.size()})
                                  : 0;
  for (int head_index : head_indices) {
    heads_.push_back(plan.heads_of(head_index));
    pieces_.push_back(plan.head_pieces_of(head_index, block_bytes));
    most_pieces_ = std::max(most_pieces_, pieces_.back().size());
  }
  const HeadShare& own = heads_[rank_];
  q_ = TensorBuffer(problem_.data_type, QueryShape(problem_, own.query.size(), rows));
  key_value_ =
      KeyValueBuffer(problem_.data_type, QueryShape(problem_, own.kv.size(), TokenCount(group_keys_)));
  output_ = TensorBuffer(DataType::kFloat32, QueryShape(problem_, own.query.size(), rows));
}

void HeadExchange::StartTokensToHeads(size_t piece, const ConstTensorView& q, const ConstTensorView& k,
                                      const ConstTensorView& v, RequestSet& requests) {
  if (piece >= most_pieces_) return;
  const HeadShare own = PieceOf(rank_, piece);
  ForEachPeer(static_cast<int>(rank_), static_cast<int>(size_), [&](int source, int destination) {
    const TokenShare& from = tokens_[static_cast<size_t>(source)];
    for (const TokenSegment& segment : from.queries) {
      requests.Receive({InGroup(this->q(own), group_queries_, segment)}, source);
    }
    for (const TokenSegment& segment : from.keys) {
      requests.Receive({InGroup(this->k(own), group_keys_, segment)}, source);
      requests.Receive({InGroup(this->v(own), group_keys_, segment)}, source);
    }
    const HeadShare theirs = PieceOf(static_cast<size_t>(destination), piece);
    for (const TokenSegment& segment : tokens_[rank_].queries) {
      requests.Send({Block(q, theirs.query, segment)}, destination);
    }
    for (const TokenSegment& segment : tokens_[rank_].keys) {
      requests.Send({Block(k, theirs.kv, segment)}, destination);
      requests.Send({Block(v, theirs.kv, segment)}, destination);
    }
  });
  for (const TokenSegment& segment : tokens_[rank_].queries) {
    requests.Copy(Block(q, own.query, segment), InGroup(this->q(own), group_queries_, segment));
  }
  for (const TokenSegment& segment : tokens_[rank_].keys) {
    requests.Copy(Block(k, own.kv, segment), InGroup(this->k(own), group_keys_, segment));
    requests.Copy(Block(v, own.kv, segment), InGroup(this->v(own), group_keys_, segment));
  }
}

void HeadExchange::StartHeadsToTokens(size_t piece, const TensorView& output, RequestSet& requests) {
  const HeadShare own = PieceOf(rank_, piece);
  ForEachPeer(static_cast<int>(rank_), static_cast<int>(size_), [&](int source, int destination) {
    for (const TokenSegment& segment : tokens_[rank_].queries) {
      requests.Receive({Block(output, PieceOf(static_cast<size_t>(source), piece).query, segment)}, source);
    }
    for (const TokenSegment& segment : tokens_[static_cast<size_t>(destination)].queries) {
      requests.Send({InGroup(this->output(own), group_queries_, segment)}, destination);
    }
  });
  for (const TokenSegment& segment : tokens_[rank_].queries) {
    requests.Copy(InGroup(this->output(own), group_queries_, segment), Block(output, own.query, segment));
  }
}

HeadShare HeadExchange::PieceOf(size_t r, size_t piece) const {
  if (piece < pieces_[r].size()) return pieces_[r][piece];
  const HeadShare& all = heads_[r];
  return {{all.query.begin, all.query.begin}, {all.kv.begin, all.kv.begin}};
}

}  // namespace attention
