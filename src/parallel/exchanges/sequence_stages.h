// Which exchange is done by which stage. A stage is a file of its own, known here by its maker alone.
#ifndef SRC_PARALLEL_EXCHANGES_SEQUENCE_STAGES_H_
#define SRC_PARALLEL_EXCHANGES_SEQUENCE_STAGES_H_

#include <memory>

#include "src/mpi/communicator.h"
#include "src/parallel/exchanges/sequence_stage.h"
#include "src/parallel/partition/attention_plan.h"
#include "src/parallel/strategy/strategy.h"

namespace attention {

// The communicator must outlive the stage.
using SequenceStageMaker = std::unique_ptr<SequenceStage>(const AttentionPlan& plan,
                                                          const SequenceLayout& layout,
                                                          const Communicator& communicator);

SequenceStageMaker MakeRingStage;
SequenceStageMaker MakeGatherStage;
SequenceStageMaker MakeMergeStage;
SequenceStageMaker MakeMeshStage;
SequenceStageMaker MakeSharedStage;

struct SequenceStageRow {
  Exchange exchange;
  SequenceStageMaker* make;
};

inline constexpr SequenceStageRow kSequenceStages[] = {
    {Exchange::kRing, &MakeRingStage},     {Exchange::kAllgather, &MakeGatherStage},
    {Exchange::kMerge, &MakeMergeStage},   {Exchange::kMesh, &MakeMeshStage},
    {Exchange::kShared, &MakeSharedStage},
};

// The stage of plan.variant.exchange; alone on its communicator a rank just computes.
SequenceStageMaker MakeSequenceStage;

}  // namespace attention

#endif  // SRC_PARALLEL_EXCHANGES_SEQUENCE_STAGES_H_
