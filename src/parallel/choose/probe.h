// The rates of the machine at hand, by two short probes on the ranks of a communicator: messages between
// them, and steps of the kernel.
#ifndef SRC_PARALLEL_CHOOSE_PROBE_H_
#define SRC_PARALLEL_CHOOSE_PROBE_H_

#include <vector>

#include "src/mpi/communicator.h"
#include "src/parallel/choose/cost_model.h"
#include "src/parallel/choose/rates.h"
#include "src/parallel/partition/attention_plan.h"

namespace attention {

struct ProbeOptions {
  // Of one step of the kernel, at the rate that its instruction set is expected to have; longer ones are
  // measured on fewer heads, then on a shorter sequence of the same shape.
  double step_seconds = 0.02;
  // A message grows until it takes so long, or to the largest size.
  double message_seconds = 0.005;
  int64_t largest_message_bytes = int64_t{4} << 20;
  int repeats = 5;  // the shortest counts
};

// What is measured of a step: as much as fits into `most_pairs` (times its query heads) and some memory, of
// fewer heads first, then of a shorter sequence, as long as it still sees something.
KernelStep ShortenedStep(KernelStep step, const AttentionProblem& problem, double most_pairs);

// Collective; every rank gets the same rates, those of the slowest. All ranks work at once, as they will.
//
// Links: each rank sends to the next one of its node while the one before it sends to it, once a few bytes
// and once so many that bandwidth counts; then the ranks of each node with those of the next node, in pairs.
// Where there is one node, both rates are that within it; where every rank has a node of its own, that
// across.
//
// Kernels: each of `steps` (ForEachStep's; those that are much alike need be there once), in fp32 or bf16 as
// `problem` says, on one call of the backend. Then the longest of them once more with a transfer beside it:
// what that adds is LinkRate::unhidden.
//
// Takes some tenths of a second. Throws the same Error on every rank if a backend cannot be made or a step
// cannot be done on one of them.
Rates ProbeRates(const Communicator& communicator, const std::vector<int>& node_of_rank,
                 const AttentionProblem& problem, const ExecutionOptions& options,
                 const std::vector<KernelStep>& steps, const ProbeOptions& probe = {});

}  // namespace attention

#endif  // SRC_PARALLEL_CHOOSE_PROBE_H_
