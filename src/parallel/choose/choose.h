// Which variant to use: every valid one of an algorithm, ranked by what it is predicted to take.
#ifndef SRC_PARALLEL_CHOOSE_CHOOSE_H_
#define SRC_PARALLEL_CHOOSE_CHOOSE_H_

#include <vector>

#include "src/mpi/communicator.h"
#include "src/parallel/choose/cost_model.h"
#include "src/parallel/choose/probe.h"
#include "src/parallel/strategy/strategy.h"

namespace attention {

// What is chosen from: the one-dimensional variants that are valid for the algorithm, contract and phase, in
// the order of the table. Left out is what ends with outputs by heads (LeavesHeads): less is done by then, so
// it would win wherever it is valid, and whoever wants its outputs so knows it. Grids are left out: CSV does
// not spell them. Throws Error (bad usage), in the table's words, if nothing is valid.
std::vector<Variant> Candidates(AttentionAlgorithm algorithm, Contract contract, Phase phase);

// Whether every rank ends with the output of some heads, of all tokens: headwise(none), and decode's
// sequence(all_to_all).
bool LeavesHeads(const Variant& variant, Phase phase);

// Predictions for the candidates, fastest first; of equal ones the one that sends less, then the first.
std::vector<Prediction> RankVariants(const AttentionProblem& problem, AttentionAlgorithm algorithm,
                                     Contract contract, const Machine& machine);

// What the candidates ask a probe to measure: their steps, of those that are much alike the first.
std::vector<KernelStep> StepsToProbe(const AttentionProblem& problem, AttentionAlgorithm algorithm,
                                     Contract contract, const std::vector<int>& node_of_rank, int threads);

// Whether what a node's ranks would share fits into `room` bytes, on whatever number of nodes; others share
// nothing.
bool FitsSharedMemory(const AttentionProblem& problem, const Variant& variant, Contract contract,
                      int64_t room);

struct Choice {
  std::vector<Prediction> ranking;  // as RankVariants; the first is chosen
  Rates rates;

  const Variant& variant() const { return ranking.front().variant; }
};

// Collective: probes, ranks, and agrees on rank 0's ranking. One rank alone has nothing to choose between: it
// is given the first candidate with a probed time. What some machine lacks the shared memory for is left out.
// Throws the same Error on every rank.
Choice ChooseVariant(const Communicator& communicator, const std::vector<int>& node_of_rank,
                     const AttentionProblem& problem, AttentionAlgorithm algorithm, Contract contract,
                     const ExecutionOptions& options, const ProbeOptions& probe = {});

}  // namespace attention

#endif  // SRC_PARALLEL_CHOOSE_CHOOSE_H_
