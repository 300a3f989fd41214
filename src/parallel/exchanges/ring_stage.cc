#include <algorithm>
#include <memory>
#include <span>

#include "src/attention/attention_state.h"
#include "src/parallel/exchanges/sequence_stage.h"
#include "src/parallel/exchanges/sequence_stages.h"
#include "src/parallel/exchanges/tensor_buffer.h"

namespace attention {
namespace {

int SourceOf(const SequenceLayout& layout, int step) {
  return (layout.rank - step + layout.size()) % layout.size();
}

// The last two steps may be one.
int64_t MostKeysOfAStep(const SequenceLayout& layout) {
  const int last = layout.size() - 1;
  const int64_t before = last > 0 ? layout.TokensOf(SourceOf(layout, last - 1)) : 0;
  return std::max(layout.max_tokens(), before + layout.TokensOf(SourceOf(layout, last)));
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
// pass for all heads that begin after the last arrival (KernelRunner::AccumulateArriving). Traffic per rank:
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
  const Communicator* communicator_;
  KernelRunner kernel_;
  KeyValueBuffer arriving_[2];
  AttentionStateBuffer state_;
};

RingStage::RingStage(const AttentionPlan& plan, const SequenceLayout& layout,
                     const Communicator& communicator)
    : problem_(plan.problem),
      layout_(layout),
      communicator_(&communicator),
      kernel_(plan, layout.heads, layout.TokensOf(layout.rank), MostKeysOfAStep(layout)) {
  const TensorShape shape = QueryShape(problem_, layout.heads.kv.size(), layout.max_tokens());
  // One step needs no second buffer, none needs none, and only several steps need a state between them.
  for (int i = 0; i < std::min(2, layout.size() - 1); ++i) {
    arriving_[i] = KeyValueBuffer(problem_.data_type, shape);
  }
  if (layout.size() > 1) {
    state_ = AttentionStateBuffer(problem_.batch, layout.heads.query.size(), layout.TokensOf(layout.rank),
                                  problem_.head_dim);
  }
}

void RingStage::Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                    const TensorView& output, RunParts parts) {
  const int steps = layout_.size();
  const int right = (layout_.rank + 1) % steps, left = SourceOf(layout_, 1);
  // The shard at hand, and the one that arrives meanwhile.
  KeyValueShard shards[2] = {{k, v, layout_.own()}, {}};
  AttentionStep step{.query = {q, layout_.own()},
                     .key_values = std::span(shards, 1),
                     .state = state_.view(),
                     .output = output};
  if (steps == 1) kernel_.Accumulate(parts, step, {});
  for (int number = 0; number + 1 < steps; ++number) {
    const KeyValueBuffer& buffer = arriving_[number % 2];
    const int64_t tokens = layout_.TokensOf(SourceOf(layout_, number + 1));
    const TensorView next_k = buffer.k.Dense(tokens), next_v = buffer.v.Dense(tokens);
    shards[1] = {next_k, next_v, layout_.tokens[static_cast<size_t>(SourceOf(layout_, number + 1))]};
    RequestSet arriving(*communicator_, parts.exchange), leaving(*communicator_, parts.exchange);
    arriving.Receive({next_k}, left);
    arriving.Receive({next_v}, left);
    leaving.Send({shards[0].k}, right);
    leaving.Send({shards[0].v}, right);
    const bool are_last_two = number + 2 == steps;
    step.first = number == 0;
    step.last = are_last_two;
    step.key_values = std::span(shards, are_last_two ? 2 : 1);
    if (are_last_two) {
      kernel_.AccumulateArriving(parts, step, arriving, leaving, "ring", number);
    } else {
      kernel_.Accumulate(parts, step, {&arriving, &leaving});
    }
    arriving.Wait("ring", number);
    leaving.Wait("ring", number);
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
