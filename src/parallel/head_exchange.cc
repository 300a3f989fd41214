#include "src/parallel/head_exchange.h"

#include "src/mpi/request_set.h"

namespace attention {
namespace {

template <typename View>
View Block(const View& tensor, const IndexRange& heads, const TokenSegment& segment) {
  return tensor.SliceHeads(heads.begin, heads.size()).SliceTokens(segment.local_begin, segment.length);
}

}  // namespace

HeadExchange::HeadExchange(const AttentionPlan& plan, const std::vector<TokenSegments>& tokens,
                           const Communicator& communicator)
    : problem_(plan.problem),
      tokens_(tokens),
      group_tokens_(JoinTokens(tokens)),
      communicator_(&communicator) {
  for (int r = 0; r < communicator.size(); ++r) heads_.push_back(plan.heads_of(r));
  const HeadShare& own = heads_[static_cast<size_t>(communicator.rank())];
  const int64_t rows = TokenCount(group_tokens_);
  q_ = TensorBuffer(problem_.data_type, QueryShape(problem_, own.query.size(), rows));
  key_value_ = KeyValueBuffer(problem_.data_type, QueryShape(problem_, own.kv.size(), rows));
  output_ = TensorBuffer(DataType::kFloat32, QueryShape(problem_, own.query.size(), rows));
}

void HeadExchange::TokensToHeads(const ConstTensorView& q, const ConstTensorView& k,
                                 const ConstTensorView& v) {
  const int rank = communicator_->rank(), size = communicator_->size();
  RequestSet requests(*communicator_);
  for (int turn = 1; turn < size; ++turn) {
    const int source = (rank - turn + size) % size, destination = (rank + turn) % size;
    for (const TokenSegment& segment : tokens_[static_cast<size_t>(source)]) {
      requests.Receive({InGroup(this->q(), segment)}, source);
      requests.Receive({InGroup(this->k(), segment)}, source);
      requests.Receive({InGroup(this->v(), segment)}, source);
    }
    const HeadShare& theirs = heads_[static_cast<size_t>(destination)];
    for (const TokenSegment& segment : tokens_[static_cast<size_t>(rank)]) {
      requests.Send({Block(q, theirs.query, segment)}, destination);
      requests.Send({Block(k, theirs.kv, segment)}, destination);
      requests.Send({Block(v, theirs.kv, segment)}, destination);
    }
  }
  const HeadShare& own = heads_[static_cast<size_t>(rank)];
  for (const TokenSegment& segment : tokens_[static_cast<size_t>(rank)]) {
    CopyBlock(Block(q, own.query, segment), InGroup(this->q(), segment));
    CopyBlock(Block(k, own.kv, segment), InGroup(this->k(), segment));
    CopyBlock(Block(v, own.kv, segment), InGroup(this->v(), segment));
  }
  requests.Wait("all-to-all of Q, K, V", 0);
}

void HeadExchange::HeadsToTokens(const TensorView& output) {
  const int rank = communicator_->rank(), size = communicator_->size();
  RequestSet requests(*communicator_);
  for (int turn = 1; turn < size; ++turn) {
    const int source = (rank - turn + size) % size, destination = (rank + turn) % size;
    for (const TokenSegment& segment : tokens_[static_cast<size_t>(rank)]) {
      requests.Receive({Block(output, heads_[static_cast<size_t>(source)].query, segment)}, source);
    }
    for (const TokenSegment& segment : tokens_[static_cast<size_t>(destination)]) {
      requests.Send({InGroup(this->output(), segment)}, destination);
    }
  }
  for (const TokenSegment& segment : tokens_[static_cast<size_t>(rank)]) {
    CopyBlock(InGroup(this->output(), segment),
              Block(output, heads_[static_cast<size_t>(rank)].query, segment));
  }
  requests.Wait("all-to-all of outputs", 1);
}

int64_t HeadExchange::comm_bytes() const {
  const size_t rank = static_cast<size_t>(communicator_->rank());
  const int64_t own_tokens = TokenCount(tokens_[rank]);
  int64_t heads_of_others = 0;
  for (size_t r = 0; r < heads_.size(); ++r) {
    if (r != rank) heads_of_others += heads_[r].query.size() + 2 * heads_[r].kv.size();
  }
  return InputBytes(problem_, heads_of_others, own_tokens) +
         OutputBytes(problem_, heads_[rank].query.size(), TokenCount(group_tokens_) - own_tokens);
}

}  // namespace attention
