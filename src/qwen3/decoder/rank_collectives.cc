#include "src/qwen3/decoder/rank_collectives.h"

#include <algorithm>

#include "src/base/error.h"
#include "src/mpi/copy_block.h"
#include "src/mpi/peers.h"
#include "src/mpi/request_set.h"
#include "src/parallel/partition/token_dealing.h"
#include "src/qwen3/decoder/rank_order.h"

namespace attention {
namespace {

// Below this, latency counts and not bandwidth.
constexpr int64_t kDirectElements = 16384;
// Long runs are given to MPI as rows of this length, so that a message limit can cut between them.
constexpr int64_t kRowElements = 4096;

// A contiguous run as one or two views (whole rows and the rest).
template <typename Function>
void ForEachPiece(float* data, int64_t elements, const Function& function) {
  const int64_t rows = elements / kRowElements, rest = elements % kRowElements;
  if (rows > 0) function(HeadMajorView(data, DataType::kFloat32, {1, 1, rows, kRowElements}));
  if (rest > 0) function(HeadMajorView(data + rows * kRowElements, DataType::kFloat32, {1, 1, 1, rest}));
}

void Send(RequestSet& requests, float* data, int64_t elements, int destination) {
  ForEachPiece(data, elements, [&](const TensorView& piece) { requests.Send({piece}, destination); });
}

void Receive(RequestSet& requests, float* data, int64_t elements, int source) {
  ForEachPiece(data, elements, [&](const TensorView& piece) { requests.Receive({piece}, source); });
}

}  // namespace

RankSum::RankSum(const Communicator& communicator, int64_t max_elements) : communicator_(&communicator) {
  const int64_t ranks = communicator.size();
  if (ranks == 1) return;
  const int64_t slot = std::max(std::min(max_elements, kDirectElements), max_elements / ranks + 1);
  received_ = AlignedBuffer(static_cast<size_t>(
      CheckedProduct(CheckedProduct(slot, ranks, "all-reduce room"), sizeof(float), "bytes")));
}

void RankSum::Run(float* data, int64_t elements) {
  const int rank = communicator_->rank(), size = communicator_->size();
  if (size == 1 || elements == 0) return;
  const bool direct = elements <= kDirectElements;
  // The part that rank r adds up: everything (direct), or its slice.
  const auto slice = [&](int r) {
    return direct ? IndexRange{0, elements} : BalancedRange(elements, size, r);
  };
  const int64_t stride = direct ? elements : elements / size + 1;
  Require(stride * size <= static_cast<int64_t>(received_.As<float>().size()), "sum over ranks: ", elements,
          " elements are more than room was made for");
  float* received = received_.As<float>().data();
  RequestSet parts(*communicator_);
  ForEachPeer(rank, size, [&](int source, int destination) {
    Receive(parts, received + source * stride, slice(rank).size(), source);
    Send(parts, data + slice(destination).begin, slice(destination).size(), destination);
  });
  parts.Wait("sum over ranks: parts", 0);
  AddInRankOrder(rank, size, received, stride, slice(rank).size(), data + slice(rank).begin);
  if (direct) return;
  RequestSet sums(*communicator_);
  ForEachPeer(rank, size, [&](int source, int destination) {
    Receive(sums, data + slice(source).begin, slice(source).size(), source);
    Send(sums, data + slice(rank).begin, slice(rank).size(), destination);
  });
  sums.Wait("sum over ranks: results", 1);
}

void GatherColumns(const Communicator& communicator, const Rows& rows, const ColumnsOfRank& of_rank) {
  const int rank = communicator.rank(), size = communicator.size();
  const auto block = [&](int r) {
    const IndexRange columns = of_rank(r);
    return TensorView{reinterpret_cast<std::byte*>(rows.data + columns.begin),
                      DataType::kFloat32,
                      {1, 1, rows.rows, columns.size()},
                      0,
                      0,
                      rows.stride};
  };
  RequestSet requests(communicator);
  ForEachPeer(rank, size, [&](int source, int destination) {
    requests.Receive({block(source)}, source);
    requests.Send({block(rank)}, destination);
  });
  requests.Wait("allgather of columns", 0);
}

void GatherTokens(const Communicator& communicator, const TokenRows& shape, const float* mine, float* whole) {
  const int rank = communicator.rank(), size = communicator.size();
  const TensorView all =
      HeadMajorView(whole, DataType::kFloat32, {shape.batch, 1, shape.tokens, shape.width});
  const std::vector<TokenSegments> shares = DealTokens(shape.mask, shape.tokens, shape.sharding, size);
  const TokenSegments& own = shares[static_cast<size_t>(rank)];
  const ConstTensorView local =
      HeadMajorView(mine, DataType::kFloat32, {shape.batch, 1, TokenCount(own), shape.width});
  RequestSet requests(communicator);
  ForEachPeer(rank, size, [&](int source, int destination) {
    for (const TokenSegment& segment : shares[static_cast<size_t>(source)]) {
      requests.Receive({all.SliceTokens(segment.global_begin, segment.length)}, source);
    }
    for (const TokenSegment& segment : own) {
      requests.Send({local.SliceTokens(segment.local_begin, segment.length)}, destination);
    }
  });
  for (const TokenSegment& segment : own) {
    CopyBlock(local.SliceTokens(segment.local_begin, segment.length),
              all.SliceTokens(segment.global_begin, segment.length));
  }
  requests.Wait("allgather of tokens", 0);
}

std::vector<float> ShareOfRows(const TokenRows& shape, const TokenSegments& tokens,
                               std::span<const float> whole) {
  std::vector<float> rows(static_cast<size_t>(shape.batch * TokenCount(tokens) * shape.width));
  CopyShareOfRows(shape, tokens, whole.data(), rows.data());
  return rows;
}

void CopyShareOfRows(const TokenRows& shape, const TokenSegments& tokens, const float* whole, float* rows) {
  const int64_t local = TokenCount(tokens);
  for (int64_t b = 0; b < shape.batch; ++b) {
    for (const TokenSegment& segment : tokens) {
      std::copy_n(whole + (b * shape.tokens + segment.global_begin) * shape.width,
                  segment.length * shape.width, rows + (b * local + segment.local_begin) * shape.width);
    }
  }
}

void BroadcastFloats(const Communicator& communicator, int root, float* data, int64_t elements) {
  const int rank = communicator.rank(), size = communicator.size();
  RequestSet requests(communicator);
  if (rank != root) {
    Receive(requests, data, elements, root);
  } else {
    for (int r = 0; r < size; ++r) {
      if (r != root) Send(requests, data, elements, r);
    }
  }
  requests.Wait("broadcast", 0);
}

}  // namespace attention
