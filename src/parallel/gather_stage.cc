#include "src/parallel/gather_stage.h"

#include <algorithm>

namespace attention {
namespace {

TokenSegments GatheredTokens(const SequenceLayout& layout, bool without_own) {
  std::vector<TokenSegments> shares = layout.tokens;
  if (without_own) shares[static_cast<size_t>(layout.rank)].clear();
  return JoinTokens(shares);
}

}  // namespace

GatherStage::GatherStage(const AttentionPlan& plan, const SequenceLayout& layout,
                         const Communicator& communicator)
    : problem_(plan.problem),
      layout_(layout),
      communicator_(&communicator),
      own_first_(plan.variant.algorithm == AttentionAlgorithm::kOnlineSoftmax),
      gathered_tokens_(GatheredTokens(layout, own_first_)),
      kernel_(plan, layout.heads, layout.TokensOf(layout.rank), layout.total_tokens()),
      gathered_(problem_.data_type,
                QueryShape(problem_, layout.heads.kv.size(), TokenCount(gathered_tokens_))) {
  if (own_first_) {
    state_ = AttentionStateBuffer(problem_.batch, layout.heads.query.size(), layout.TokensOf(layout.rank),
                                  problem_.head_dim);
  }
}

void GatherStage::StartGather(const ConstTensorView& k, const ConstTensorView& v, RequestSet& arriving,
                              RequestSet& leaving) {
  // Peers in staggered order: in each turn every rank receives from one rank and sends to one.
  for (int turn = 1; turn < layout_.size(); ++turn) {
    const int source = (layout_.rank - turn + layout_.size()) % layout_.size();
    const int destination = (layout_.rank + turn) % layout_.size();
    for (const TokenSegment& segment : layout_.tokens[static_cast<size_t>(source)]) {
      arriving.Receive({Place(gathered_.k.view(), segment)}, source);
      arriving.Receive({Place(gathered_.v.view(), segment)}, source);
    }
    for (const TokenSegment& segment : layout_.own()) {
      leaving.Send({k.SliceTokens(segment.local_begin, segment.length)}, destination);
      leaving.Send({v.SliceTokens(segment.local_begin, segment.length)}, destination);
    }
  }
}

void GatherStage::CopyOwn(const ConstTensorView& k, const ConstTensorView& v) {
  for (const TokenSegment& segment : layout_.own()) {
    CopyBlock(k.SliceTokens(segment.local_begin, segment.length), Place(gathered_.k.view(), segment));
    CopyBlock(v.SliceTokens(segment.local_begin, segment.length), Place(gathered_.v.view(), segment));
  }
}

void GatherStage::Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                      const TensorView& output, RunParts parts) {
  RequestSet arriving(*communicator_), leaving(*communicator_);
  if (parts.exchange) {
    StartGather(k, v, arriving, leaving);
    if (!own_first_) CopyOwn(k, v);
  }
  AttentionStep step;
  step.query = {q, layout_.own()};
  step.output = output;
  const KeyValueShard gathered = {gathered_.k.view(), gathered_.v.view(), gathered_tokens_};
  if (parts.compute && own_first_) {
    step.key_value = {k, v, layout_.own()};
    step.next_key_value = gathered;
    step.state = state_.view();
    kernel_.AccumulateArriving(step, arriving, leaving, "allgather of K/V", 0);
  }
  arriving.Wait("allgather of K/V", 0);
  if (parts.compute && !own_first_) {
    step.key_value = gathered;
    kernel_.Accumulate(step, {&leaving});
  }
  leaving.Wait("allgather of K/V", 0);
}

int64_t GatherStage::comm_bytes() const {
  return 2 * InputBytes(problem_, layout_.heads.kv.size(), layout_.TokensOf(layout_.rank)) *
         (layout_.size() - 1);
}

}  // namespace attention
