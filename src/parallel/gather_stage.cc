#include "src/parallel/gather_stage.h"

namespace attention {

GatherStage::GatherStage(const AttentionPlan& plan, const SequenceLayout& layout,
                         const Communicator& communicator)
    : problem_(plan.problem),
      layout_(layout),
      communicator_(&communicator),
      all_tokens_(JoinTokens(layout.tokens)),
      kernel_(plan, layout.heads, layout.TokensOf(layout.rank), layout.total_tokens()),
      gathered_(problem_.data_type, QueryShape(problem_, layout.heads.kv.size(), layout.total_tokens())) {}

void GatherStage::Gather(const ConstTensorView& k, const ConstTensorView& v) {
  const TensorView all_k = gathered_.k.view(), all_v = gathered_.v.view();
  const auto place = [&](const TensorView& all, const TokenSegment& segment) {
    return all.SliceTokens(LocalRow(all_tokens_, segment.global_begin), segment.length);
  };
  RequestSet requests(*communicator_);
  // Peers in staggered order: in each turn every rank receives from one rank and sends to one.
  for (int turn = 1; turn < layout_.size(); ++turn) {
    const int source = (layout_.rank - turn + layout_.size()) % layout_.size();
    const int destination = (layout_.rank + turn) % layout_.size();
    for (const TokenSegment& segment : layout_.tokens[static_cast<size_t>(source)]) {
      requests.Receive({place(all_k, segment)}, source);
      requests.Receive({place(all_v, segment)}, source);
    }
    for (const TokenSegment& segment : layout_.own()) {
      requests.Send({k.SliceTokens(segment.local_begin, segment.length)}, destination);
      requests.Send({v.SliceTokens(segment.local_begin, segment.length)}, destination);
    }
  }
  for (const TokenSegment& segment : layout_.own()) {
    CopyBlock(k.SliceTokens(segment.local_begin, segment.length), place(all_k, segment));
    CopyBlock(v.SliceTokens(segment.local_begin, segment.length), place(all_v, segment));
  }
  requests.Wait("allgather of K/V", 0);
}

void GatherStage::Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                      const TensorView& output, RunParts parts) {
  if (parts.exchange) Gather(k, v);
  if (!parts.compute) return;
  kernel_.Accumulate({{q, layout_.own()},
                      {gathered_.k.view(), gathered_.v.view(), all_tokens_},
                      {},
                      output,
                      /*first=*/true,
                      /*last=*/true,
                      {}},
                     nullptr);
}

int64_t GatherStage::comm_bytes() const {
  return 2 * InputBytes(problem_, layout_.heads.kv.size(), layout_.TokensOf(layout_.rank)) *
         (layout_.size() - 1);
}

}  // namespace attention
