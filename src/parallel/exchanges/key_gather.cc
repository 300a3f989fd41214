#include "src/parallel/exchanges/key_gather.h"

#include <utility>

#include "src/mpi/peers.h"

namespace attention {
namespace {

TokenSegments Joined(const KeyGather::Travel& travel) {
  std::vector<TokenSegments> shares = travel.from;
  if (travel.with_own) shares.push_back(travel.own_keys);
  return JoinTokens(shares);
}

}  // namespace

KeyGather::KeyGather(const AttentionProblem& problem, int64_t kv_heads, Travel travel)
    : travel_(std::move(travel)),
      tokens_(Joined(travel_)),
      buffer_(problem.data_type, QueryShape(problem, kv_heads, TokenCount(tokens_))) {}

void KeyGather::Start(const ConstTensorView& k, const ConstTensorView& v, RequestSet& arriving,
                      RequestSet& leaving) {
  const TensorView gathered_k = buffer_.k.view(), gathered_v = buffer_.v.view();
  ForEachPeer(travel_.own_place, static_cast<int>(travel_.ranks.size()), [&](int source, int destination) {
    const auto from = static_cast<size_t>(source), to = static_cast<size_t>(destination);
    for (const TokenSegment& segment : travel_.from[from]) {
      arriving.Receive({Place(gathered_k, segment)}, travel_.ranks[from]);
      arriving.Receive({Place(gathered_v, segment)}, travel_.ranks[from]);
    }
    for (const TokenSegment& segment : travel_.to[to]) {
      const int64_t row = LocalRow(travel_.own_keys, segment.global_begin);
      leaving.Send({k.SliceTokens(row, segment.length)}, travel_.ranks[to]);
      leaving.Send({v.SliceTokens(row, segment.length)}, travel_.ranks[to]);
    }
  });
  if (!travel_.with_own) return;
  for (const TokenSegment& segment : travel_.own_keys) {
    leaving.Copy(k.SliceTokens(segment.local_begin, segment.length), Place(gathered_k, segment));
    leaving.Copy(v.SliceTokens(segment.local_begin, segment.length), Place(gathered_v, segment));
  }
}

}  // namespace attention
