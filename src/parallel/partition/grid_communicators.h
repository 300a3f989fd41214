// The communicators of a plan's two dimensions.
#ifndef SRC_PARALLEL_PARTITION_GRID_COMMUNICATORS_H_
#define SRC_PARALLEL_PARTITION_GRID_COMMUNICATORS_H_

#include <optional>

#include "src/mpi/communicator.h"
#include "src/parallel/partition/attention_plan.h"

namespace attention {

class GridCommunicators {
 public:
  // Collective over `all`, which must outlive the result.
  GridCommunicators(const AttentionPlan& plan, const Communicator& all) : all_(&all) {
    if (plan.head_parts == 1 || plan.token_parts == 1) return;
    heads_ = all.Split(plan.token_index(), plan.head_index());
    tokens_ = all.Split(plan.head_index(), plan.token_index());
  }

  const Communicator& all() const { return *all_; }
  // The ranks that divide the heads of this rank's token group (rank = head index); in one dimension, all
  // ranks, whose order is the same. Meaningful only if the plan divides heads.
  const Communicator& heads() const { return heads_ ? *heads_ : *all_; }
  // The ranks that hold this rank's heads of other token groups (rank = token index); likewise.
  const Communicator& tokens() const { return tokens_ ? *tokens_ : *all_; }

 private:
  const Communicator* all_;
  std::optional<Communicator> heads_;
  std::optional<Communicator> tokens_;
};

}  // namespace attention

#endif  // SRC_PARALLEL_PARTITION_GRID_COMMUNICATORS_H_
