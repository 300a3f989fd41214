#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "src/attention/attention_state.h"
#include "src/parallel/exchanges/key_gather.h"
#include "src/parallel/exchanges/sequence_stage.h"
#include "src/parallel/exchanges/sequence_stages.h"
#include "src/parallel/partition/key_travel.h"

namespace attention {
namespace {

// What the rank's queries see of the others' keys, and the others' of its own.
KeyGather::Travel TravelOf(const SequenceLayout& layout, const Mask& mask, bool with_own) {
  KeyGather::Travel travel;
  travel.own_place = layout.rank;
  travel.own_keys = layout.own_keys();
  travel.with_own = with_own;
  for (int other = 0; other < layout.size(); ++other) {
    const bool is_own = other == layout.rank;
    travel.ranks.push_back(other);
    travel.from.push_back(is_own ? TokenSegments() : KeysSeen(layout, mask, other, layout.rank));
    travel.to.push_back(is_own ? TokenSegments() : KeysSeen(layout, mask, layout.rank, other));
  }
  return travel;
}

// K/V of all ranks are gathered (Llama 3's context parallelism), as far as the rank's queries see them
// (partition/key_travel.h). Valid for every algorithm. Traffic per rank, without a mask: its K and V to each
// of the others, 2 * batch * KV heads * head_dim * S_r * (P - 1) elements.
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
    return kernel_.workspace_bytes() + gather_.size_bytes() + state_.size_bytes();
  }
  TileSizes tiles() const override { return kernel_.tiles(); }

 private:
  SequenceLayout layout_;
  const Communicator* communicator_;
  bool own_first_;
  KeyGather gather_;  // of the other ranks if own_first_, else of all
  KernelRunner kernel_;
  AttentionStateBuffer state_;  // only if own_first_
};

GatherStage::GatherStage(const AttentionPlan& plan, const SequenceLayout& layout,
                         const Communicator& communicator)
    : layout_(layout),
      communicator_(&communicator),
      own_first_(RowOf(plan.variant.algorithm).carries_state),
      gather_(plan.problem, layout.heads.kv.size(), TravelOf(layout, plan.problem.mask, !own_first_)),
      kernel_(plan, layout.heads, layout.QueriesOf(layout.rank), TotalOf(layout.keys)) {
  if (own_first_) {
    state_ = AttentionStateBuffer(plan.problem.batch, layout.heads.query.size(),
                                  layout.QueriesOf(layout.rank), plan.problem.head_dim);
  }
}

void GatherStage::Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                      const TensorView& output, RunParts parts) {
  RequestSet arriving(*communicator_, parts.exchange), leaving(*communicator_, parts.exchange);
  gather_.Start(k, v, arriving, leaving);
  const KeyValueShard own = {k, v, layout_.own_keys()};
  const KeyValueShard gathered = gather_.gathered();
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
