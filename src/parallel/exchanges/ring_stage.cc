#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "src/attention/attention_state.h"
#include "src/parallel/exchanges/ring_hop.h"
#include "src/parallel/exchanges/sequence_stage.h"
#include "src/parallel/exchanges/sequence_stages.h"
#include "src/parallel/exchanges/tensor_buffer.h"
#include "src/parallel/partition/key_travel.h"

namespace attention {
namespace {

// The last two steps may be one.
int64_t MostKeysOfAStep(const SequenceLayout& layout, const std::vector<RingHop>& hops) {
  int64_t before = layout.KeysOf(layout.rank), most = before;
  for (const RingHop& hop : hops) {
    const int64_t arriving = TokenCount(hop.arriving);
    most = std::max(most, &hop == &hops.back() ? before + arriving : arriving);
    before = arriving;
  }
  return most;
}

// Of the hops that use buffer 0 or 1.
int64_t MostArriving(const std::vector<RingHop>& hops, size_t buffer) {
  int64_t most = 0;
  for (size_t i = buffer; i < hops.size(); i += 2) most = std::max(most, TokenCount(hops[i].arriving));
  return most;
}

// Ring attention (Liu, Zaharia, Abbeel 2023). In step s a rank's queries attend to the K/V of rank r - s,
// while those of rank r - s - 1 arrive from the left and the current ones leave to the right:
//
//   step 0      step 1      step 2            two receive buffers, used in turn; the first step reads the
//   q0:kv0      q0:kv2      q0:kv1            caller's own K/V where they are
//   q1:kv1      q1:kv0      q1:kv2
//   q2:kv2      q2:kv1      q2:kv0
//
// The order of steps is fixed, so the result does not depend on when messages arrive. The last two are one
// pass for all heads that begin after the last arrival (KernelRunner::AccumulateArriving).
//
// A rank's keys go no further round, and no more of them, than some query ahead sees
// (partition/key_travel.h): under a window of W tokens a shard's last W - 1 to the next rank, and no second
// hop; under causal not the last chunk of all, which nobody else sees. Without a mask the traffic per rank is
// K and V of all ranks but the right neighbour, 2 * batch * KV heads * head_dim * (S - S_right) elements,
// hidden as long as a step computes longer than its K/V travel: 2 * S_r * group FLOPs per element moved (half
// of it causal and zigzag), so at 200 GFLOP/s on 1 Gbit (32 ns for a float) from S_r * group = 3200 on
// (6400).
class RingStage : public SequenceStage {
 public:
  RingStage(const AttentionPlan& plan, const SequenceLayout& layout, const Communicator& communicator);

  void Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
           const TensorView& output, RunParts parts) override;
  size_t workspace_bytes() const override;
  TileSizes tiles() const override { return kernel_.tiles(); }

 private:
  AttentionProblem problem_;
  SequenceLayout layout_;
  std::vector<RingHop> hops_;
  const Communicator* communicator_;
  KernelRunner kernel_;
  KeyValueBuffer arriving_[2];
  AttentionStateBuffer state_;
};

RingStage::RingStage(const AttentionPlan& plan, const SequenceLayout& layout,
                     const Communicator& communicator)
    : problem_(plan.problem),
      layout_(layout),
      hops_(RingHops(layout, plan.problem.mask)),
      communicator_(&communicator),
      kernel_(plan, layout.heads, layout.QueriesOf(layout.rank), MostKeysOfAStep(layout, hops_)) {
  for (size_t i = 0; i < 2; ++i) {
    arriving_[i] = KeyValueBuffer(problem_.data_type,
                                  QueryShape(problem_, layout.heads.kv.size(), MostArriving(hops_, i)));
  }
  // Only several steps need a state between them.
  if (layout.size() > 1) {
    state_ = AttentionStateBuffer(problem_.batch, layout.heads.query.size(), layout.QueriesOf(layout.rank),
                                  problem_.head_dim);
  }
}

void RingStage::Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                    const TensorView& output, RunParts parts) {
  const int ranks = layout_.size();
  const RingNeighbours neighbours = {(layout_.rank + ranks - 1) % ranks, (layout_.rank + 1) % ranks};
  // The shard at hand, and the one that arrives meanwhile.
  KeyValueShard shards[2] = {{k, v, layout_.own_keys()}, {}};
  AttentionStep step{.query = {q, layout_.own_queries()},
                     .key_values = std::span(shards, 1),
                     .state = state_.view(),
                     .output = output};
  if (hops_.empty()) kernel_.Accumulate(parts, step, {});
  for (size_t number = 0; number < hops_.size(); ++number) {
    const RingHop& hop = hops_[number];
    const KeyValueBuffer& buffer = arriving_[number % 2];
    const int64_t tokens = TokenCount(hop.arriving);
    const TensorView next_k = buffer.k.Dense(tokens), next_v = buffer.v.Dense(tokens);
    shards[1] = {next_k, next_v, hop.arriving};
    RequestSet arriving(*communicator_, parts.exchange), leaving(*communicator_, parts.exchange);
    StartRingHop(hop, shards[0].k, shards[0].v, next_k, next_v, neighbours, arriving, leaving);
    const bool are_last_two = number + 1 == hops_.size();
    step.first = number == 0;
    step.last = are_last_two;
    step.key_values = std::span(shards, are_last_two ? 2 : 1);
    if (are_last_two) {
      kernel_.AccumulateArriving(parts, step, arriving, leaving, "ring", static_cast<int64_t>(number));
    } else if (step.first || !shards[0].segments.empty()) {  // else there is nothing but to pass on
      kernel_.Accumulate(parts, step, {&arriving, &leaving});
    }
    arriving.Wait("ring", static_cast<int64_t>(number));
    leaving.Wait("ring", static_cast<int64_t>(number));
    shards[0] = shards[1];
  }
}

size_t RingStage::workspace_bytes() const {
  return kernel_.workspace_bytes() + arriving_[0].size_bytes() + arriving_[1].size_bytes() +
         state_.size_bytes();
}

}  // namespace

std::unique_ptr<SequenceStage> MakeRingStage(const AttentionPlan& plan, const SequenceLayout& layout,
                                             const Communicator& communicator) {
  return std::make_unique<RingStage>(plan, layout, communicator);
}

}  // namespace attention
