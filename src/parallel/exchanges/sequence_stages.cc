#include "src/parallel/exchanges/sequence_stages.h"

#include "src/base/error.h"

namespace attention {

std::unique_ptr<SequenceStage> MakeSequenceStage(const AttentionPlan& plan, const SequenceLayout& layout,
                                                 const Communicator& communicator) {
  // A ring of one is a single call of the kernel, right for every algorithm.
  const Exchange exchange = layout.size() == 1 ? Exchange::kRing : plan.variant.exchange;
  for (const SequenceStageRow& row : kSequenceStages) {
    if (row.exchange == exchange) return row.make(plan, layout, communicator);
  }
  FailUsage("sequence parallelism has no exchange ", Name(exchange));
}

}  // namespace attention
