#include "src/parallel/exchanges/head_exchange.h"

#include <algorithm>

namespace attention {
namespace {

template <typename View>
View Block(const View& tensor, const IndexRange& heads, const TokenSegment& segment) {
  return tensor.SliceHeads(heads.begin, heads.size()).SliceTokens(segment.local_begin, segment.length);
}

}  // namespace

HeadExchange::HeadExchange(const AttentionPlan& plan, const std::vector<TokenSegments>& tokens,
                           const Communicator& communicator, Pieces pieces)
    : problem_(plan.problem),
      rank_(static_cast<size_t>(communicator.rank())),
      size_(static_cast<size_t>(communicator.size())),
      tokens_(tokens),
      group_tokens_(JoinTokens(tokens)) {
  const int64_t rows = TokenCount(group_tokens_);
  const int64_t ranks = communicator.size();
  const int64_t block_bytes =
      pieces == Pieces::kSeveral ? OutputBytes(problem_, problem_.query_heads, rows) / (ranks * ranks) : 0;
  for (int r = 0; r < communicator.size(); ++r) {
    heads_.push_back(plan.heads_of(r));
    pieces_.push_back(plan.head_pieces_of(r, block_bytes));
    most_pieces_ = std::max(most_pieces_, pieces_.back().size());
  }
  const HeadShare& own = heads_[rank_];
  q_ = TensorBuffer(problem_.data_type, QueryShape(problem_, own.query.size(), rows));
  key_value_ = KeyValueBuffer(problem_.data_type, QueryShape(problem_, own.kv.size(), rows));
  output_ = TensorBuffer(DataType::kFloat32, QueryShape(problem_, own.query.size(), rows));
}

void HeadExchange::StartTokensToHeads(size_t piece, const ConstTensorView& q, const ConstTensorView& k,
                                      const ConstTensorView& v, RequestSet& requests) {
  if (piece >= most_pieces_) return;
  const HeadShare own = PieceOf(rank_, piece);
  for (size_t turn = 1; turn < size_; ++turn) {
    const size_t source = (rank_ + size_ - turn) % size_, destination = (rank_ + turn) % size_;
    for (const TokenSegment& segment : tokens_[source]) {
      requests.Receive({InGroup(this->q(own), segment)}, static_cast<int>(source));
      requests.Receive({InGroup(this->k(own), segment)}, static_cast<int>(source));
      requests.Receive({InGroup(this->v(own), segment)}, static_cast<int>(source));
    }
    const HeadShare theirs = PieceOf(destination, piece);
    for (const TokenSegment& segment : tokens_[rank_]) {
      requests.Send({Block(q, theirs.query, segment)}, static_cast<int>(destination));
      requests.Send({Block(k, theirs.kv, segment)}, static_cast<int>(destination));
      requests.Send({Block(v, theirs.kv, segment)}, static_cast<int>(destination));
    }
  }
  for (const TokenSegment& segment : tokens_[rank_]) {
    CopyBlock(Block(q, own.query, segment), InGroup(this->q(own), segment));
    CopyBlock(Block(k, own.kv, segment), InGroup(this->k(own), segment));
    CopyBlock(Block(v, own.kv, segment), InGroup(this->v(own), segment));
  }
}

void HeadExchange::StartHeadsToTokens(size_t piece, const TensorView& output, RequestSet& requests) {
  const HeadShare own = PieceOf(rank_, piece);
  for (size_t turn = 1; turn < size_; ++turn) {
    const size_t source = (rank_ + size_ - turn) % size_, destination = (rank_ + turn) % size_;
    for (const TokenSegment& segment : tokens_[rank_]) {
      requests.Receive({Block(output, PieceOf(source, piece).query, segment)}, static_cast<int>(source));
    }
    for (const TokenSegment& segment : tokens_[destination]) {
      requests.Send({InGroup(this->output(own), segment)}, static_cast<int>(destination));
    }
  }
  for (const TokenSegment& segment : tokens_[rank_]) {
    CopyBlock(InGroup(this->output(own), segment), Block(output, own.query, segment));
  }
}

HeadShare HeadExchange::PieceOf(size_t r, size_t piece) const {
  if (piece < pieces_[r].size()) return pieces_[r][piece];
  const HeadShare& all = heads_[r];
  return {{all.query.begin, all.query.begin}, {all.kv.begin, all.kv.begin}};
}

int64_t HeadExchange::comm_bytes() const {
  const int64_t own_tokens = TokenCount(tokens_[rank_]);
  int64_t heads_of_others = 0;
  for (size_t r = 0; r < size_; ++r) {
    if (r != rank_) heads_of_others += heads_[r].query.size() + 2 * heads_[r].kv.size();
  }
  return InputBytes(problem_, heads_of_others, own_tokens) +
         OutputBytes(problem_, heads_[rank_].query.size(), TokenCount(group_tokens_) - own_tokens);
}

}  // namespace attention
