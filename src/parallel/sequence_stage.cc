#include "src/parallel/sequence_stage.h"

#include <algorithm>

#include "src/parallel/gather_stage.h"
#include "src/parallel/merge_stage.h"
#include "src/parallel/ring_stage.h"

namespace attention {

int64_t SequenceLayout::total_tokens() const {
  int64_t total = 0;
  for (int r = 0; r < size(); ++r) total += TokensOf(r);
  return total;
}

int64_t SequenceLayout::max_tokens() const {
  int64_t most = 0;
  for (int r = 0; r < size(); ++r) most = std::max(most, TokensOf(r));
  return most;
}

std::unique_ptr<SequenceStage> MakeSequenceStage(const AttentionPlan& plan, const SequenceLayout& layout,
                                                 const Communicator& communicator) {
  // A ring of one is a single call of the kernel, right for every algorithm.
  if (layout.size() == 1 || plan.variant.exchange == Exchange::kRing) {
    return std::make_unique<RingStage>(plan, layout, communicator);
  }
  if (plan.variant.exchange == Exchange::kMerge) {
    return std::make_unique<MergeStage>(plan, layout, communicator);
  }
  return std::make_unique<GatherStage>(plan, layout, communicator);
}

}  // namespace attention
