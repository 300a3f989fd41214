#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "src/attention/attention_state.h"
#include "src/mpi/peers.h"
#include "src/parallel/exchanges/sequence_stage.h"
#include "src/parallel/exchanges/sequence_stages.h"
#include "src/parallel/exchanges/tensor_buffer.h"
#include "src/parallel/partition/key_travel.h"

namespace attention {
namespace {

// What the rank's queries see of each rank's keys.
std::vector<TokenSegments> SeenHere(const SequenceLayout& layout, const Mask& mask) {
  std::vector<TokenSegments> seen;
  for (int source = 0; source < layout.size(); ++source) {
    seen.push_back(KeysSeen(layout, mask, source, layout.rank));
  }
  return seen;
}

// That of the others, and all its own unless they stay apart.
TokenSegments GatheredTokens(const SequenceLayout& layout, std::vector<TokenSegments> seen,
                             bool without_own) {
  seen[static_cast<size_t>(layout.rank)] = without_own ? TokenSegments() : layout.own_keys();
  return JoinTokens(seen);
}

// K/V of all ranks are gathered (Llama 3's context parallelism), as far as the rank's queries see them
// (partition/key_travel.h). Valid for every algorithm. Blocks arrive at their final place, in global token
// order, so the kernel sees few segments of keys. Traffic per rank, without a mask: its K and V to each of
// the others, 2 * batch * KV heads * head_dim * S_r * (P - 1) elements.
//
// online_softmax attends to the rank's own keys, where they are, while the others' arrive, and then those, in
// the same pass where they are already there (KernelRunner::AccumulateArriving): 1/P of the work hides the
// whole exchange if 2 * S_r * group FLOPs (half of it causal) take longer than P - 1 elements travel. Only
// two steps, because the others' blocks share one link and arrive at about the same time; who has many ranks
// and a slow link takes the ring, which hides P - 1 of P parts. An exact softmax needs all keys at once:
// nothing can be hidden, and own K/V are copied to their place among the others.
class GatherStage : public SequenceStage {
 public:
  GatherStage(const AttentionPlan& plan, const SequenceLayout& layout, const Communicator& communicator);

  void Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
           const TensorView& output, RunParts parts) override;
  size_t workspace_bytes() const override {
    return kernel_.workspace_bytes() + gathered_.size_bytes() + state_.size_bytes();
  }
  TileSizes tiles() const override { return kernel_.tiles(); }

 private:
  void StartGather(const ConstTensorView& k, const ConstTensorView& v, RequestSet& arriving,
                   RequestSet& leaving);
  template <typename View>
  View Place(const View& gathered, const TokenSegment& segment) const {
    return gathered.SliceTokens(LocalRow(gathered_tokens_, segment.global_begin), segment.length);
  }

  AttentionProblem problem_;
  SequenceLayout layout_;
  const Communicator* communicator_;
  bool own_first_;
  std::vector<TokenSegments> from_, to_;  // what travels from and to each rank
  TokenSegments gathered_tokens_;         // joined, of the other ranks if own_first_, else of all
  KernelRunner kernel_;
  KeyValueBuffer gathered_;
  AttentionStateBuffer state_;  // only if own_first_
};

GatherStage::GatherStage(const AttentionPlan& plan, const SequenceLayout& layout,
                         const Communicator& communicator)
    : problem_(plan.problem),
      layout_(layout),
      communicator_(&communicator),
      own_first_(RowOf(plan.variant.algorithm).carries_state),
      from_(SeenHere(layout, plan.problem.mask)),
      gathered_tokens_(GatheredTokens(layout, from_, own_first_)),
      kernel_(plan, layout.heads, layout.QueriesOf(layout.rank), TotalOf(layout.keys)),
      gathered_(problem_.data_type,
                QueryShape(problem_, layout.heads.kv.size(), TokenCount(gathered_tokens_))) {
  for (int other = 0; other < layout.size(); ++other) {
    to_.push_back(KeysSeen(layout, problem_.mask, layout.rank, other));
  }
  if (own_first_) {
    state_ = AttentionStateBuffer(problem_.batch, layout.heads.query.size(), layout.QueriesOf(layout.rank),
                                  problem_.head_dim);
  }
}

void GatherStage::StartGather(const ConstTensorView& k, const ConstTensorView& v, RequestSet& arriving,
                              RequestSet& leaving) {
  ForEachPeer(layout_.rank, layout_.size(), [&](int source, int destination) {
    for (const TokenSegment& segment : from_[static_cast<size_t>(source)]) {
      arriving.Receive({Place(gathered_.k.view(), segment)}, source);
      arriving.Receive({Place(gathered_.v.view(), segment)}, source);
    }
    for (const TokenSegment& segment : to_[static_cast<size_t>(destination)]) {
      const int64_t row = LocalRow(layout_.own_keys(), segment.global_begin);
      leaving.Send({k.SliceTokens(row, segment.length)}, destination);
      leaving.Send({v.SliceTokens(row, segment.length)}, destination);
    }
  });
  // With a state, own keys stay where they are.
  if (own_first_) return;
  for (const TokenSegment& segment : layout_.own_keys()) {
    leaving.Copy(k.SliceTokens(segment.local_begin, segment.length), Place(gathered_.k.view(), segment));
    leaving.Copy(v.SliceTokens(segment.local_begin, segment.length), Place(gathered_.v.view(), segment));
  }
}

void GatherStage::Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                      const TensorView& output, RunParts parts) {
  RequestSet arriving(*communicator_, parts.exchange), leaving(*communicator_, parts.exchange);
  StartGather(k, v, arriving, leaving);
  const KeyValueShard own = {k, v, layout_.own_keys()};
  const KeyValueShard gathered = {gathered_.k.view(), gathered_.v.view(), gathered_tokens_};
  const KeyValueShard own_then_others[] = {own, gathered};
  AttentionStep step{.query = {q, layout_.own_queries()},
                     .key_values = own_first_ ? std::span(own_then_others) : std::span(&gathered, 1),
                     .state = state_.view(),
                     .output = output};
  if (own_first_) kernel_.AccumulateArriving(parts, step, arriving, leaving, "allgather of K/V", 0);
  arriving.Wait("allgather of K/V", 0);
  if (!own_first_) kernel_.Accumulate(parts, step, {&leaving});
  leaving.Wait("allgather of K/V", 0);
}

}  // namespace

std::unique_ptr<SequenceStage> MakeGatherStage(const AttentionPlan& plan, const SequenceLayout& layout,
                                               const Communicator& communicator) {
  return std::make_unique<GatherStage>(plan, layout, communicator);
}

}  // namespace attention
