#include "src/parallel/make_distributed_attention.h"

#include <utility>

#include "src/base/error.h"
#include "src/mpi/agreement.h"
#include "src/mpi/nodes.h"
#include "src/parallel/contracts/all_to_all_attention.h"
#include "src/parallel/contracts/replicated_attention.h"
#include "src/parallel/contracts/shared_heads_attention.h"
#include "src/parallel/contracts/split_keys_attention.h"
#include "src/parallel/contracts/token_sharded_attention.h"
#include "src/parallel/partition/grid_communicators.h"

namespace attention {
namespace {

std::unique_ptr<DistributedAttention> MakeByPlan(const AttentionPlan& plan, GridCommunicators communicators) {
  Require(plan.options.backend != nullptr, "no kernel backend given");
  switch (plan.ends()) {
    case PlanEnds::kReplicated:
      return std::make_unique<ReplicatedAttention>(plan, std::move(communicators));
    case PlanEnds::kSplitKeys:
      return std::make_unique<SplitKeysAttention>(plan, std::move(communicators));
    case PlanEnds::kHeads:
      if (plan.shares_tokens()) {
        return std::make_unique<SharedHeadsAttention>(plan, communicators.all());
      }
      return std::make_unique<AllToAllAttention>(plan, std::move(communicators));
    case PlanEnds::kTokens:
      return std::make_unique<TokenShardedAttention>(plan, std::move(communicators));
  }
  FailUsage("a plan without ends");
}

}  // namespace

std::unique_ptr<DistributedAttention> MakeDistributedAttention(Communicator& communicator,
                                                               const AttentionProblem& problem,
                                                               const Variant& variant, Contract contract,
                                                               const ExecutionOptions& options) {
  AttentionPlan plan;
  AgreeOnErrors(communicator, [&] {
    plan = AttentionPlan::Make(problem, variant, contract, options, communicator.size(), communicator.rank());
  });
  AgreeOnText(communicator, plan.Description(), "plan");
  GridCommunicators communicators(plan, communicator);
  if (variant.exchange == Exchange::kShared) {
    plan.SetNodes(NodeOfRanks(communicator));
  }
  std::unique_ptr<DistributedAttention> result;
  AgreeOnErrors(communicator, [&] { result = MakeByPlan(plan, std::move(communicators)); });
  return result;
}

}  // namespace attention
