#include "src/parallel/ring_stage.h"

#include <algorithm>

namespace attention {

RingStage::RingStage(const AttentionPlan& plan, const SequenceLayout& layout,
                     const Communicator& communicator)
    : problem_(plan.problem),
      layout_(layout),
      communicator_(&communicator),
      kernel_(plan, layout.heads, layout.TokensOf(layout.rank), layout.max_tokens()) {
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
  const int right = (layout_.rank + 1) % steps, left = SourceOf(1);
  ConstTensorView current_k = k, current_v = v;
  for (int step = 0; step < steps; ++step) {
    const bool is_last = step == steps - 1;
    RequestSet requests(*communicator_);
    TensorView next_k, next_v;
    if (!is_last) {
      const KeyValueBuffer& buffer = arriving_[step % 2];
      next_k = buffer.k.Dense(layout_.TokensOf(SourceOf(step + 1)));
      next_v = buffer.v.Dense(layout_.TokensOf(SourceOf(step + 1)));
    }
    if (parts.exchange && !is_last) {
      requests.Receive({next_k}, left);
      requests.Receive({next_v}, left);
      requests.Send({current_k}, right);
      requests.Send({current_v}, right);
    }
    if (parts.compute) {
      const TokenSegments& keys = layout_.tokens[static_cast<size_t>(SourceOf(step))];
      kernel_.Accumulate(
          {{q, layout_.own()}, {current_k, current_v, keys}, state_.view(), output, step == 0, is_last, {}},
          {&requests});
    }
    requests.Wait("ring", step);
    current_k = next_k;
    current_v = next_v;
  }
}

int64_t RingStage::comm_bytes() const {
  const int right = (layout_.rank + 1) % layout_.size();
  return 2 * InputBytes(problem_, layout_.heads.kv.size(), layout_.total_tokens() - layout_.TokensOf(right));
}

size_t RingStage::workspace_bytes() const {
  return kernel_.workspace_bytes() + arriving_[0].size_bytes() + arriving_[1].size_bytes() +
         state_.size_bytes();
}

}  // namespace attention
