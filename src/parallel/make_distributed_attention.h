// Where a plan becomes a distributed attention: the contract's implementation, chosen and made.
#ifndef SRC_PARALLEL_MAKE_DISTRIBUTED_ATTENTION_H_
#define SRC_PARALLEL_MAKE_DISTRIBUTED_ATTENTION_H_

#include <memory>

#include "src/mpi/communicator.h"
#include "src/parallel/contracts/distributed_attention.h"
#include "src/parallel/partition/attention_plan.h"
#include "src/parallel/strategy/strategy.h"

namespace attention {

// Collective. Throws the same Error on every rank if the combination or the sizes are not valid, if ranks
// disagree on what is to be done, or if one of them lacks memory. `communicator` must outlive the result.
std::unique_ptr<DistributedAttention> MakeDistributedAttention(Communicator& communicator,
                                                               const AttentionProblem& problem,
                                                               const Variant& variant, Contract contract,
                                                               const ExecutionOptions& options);

}  // namespace attention

#endif  // SRC_PARALLEL_MAKE_DISTRIBUTED_ATTENTION_H_
