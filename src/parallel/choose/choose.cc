#include "src/parallel/choose/choose.h"

#include <algorithm>
#include <sstream>
#include <string>

#include "src/base/error.h"
#include "src/mpi/agreement.h"
#include "src/mpi/shared_memory.h"
#include "src/parallel/partition/attention_plan.h"

namespace attention {
namespace {

Phase PhaseOf(const AttentionProblem& problem) {
  return problem.is_decode() ? Phase::kDecode : Phase::kPrefill;
}

// Behind cached tokens nothing is dealt balanced.
std::vector<Variant> CandidatesFor(const AttentionProblem& problem, AttentionAlgorithm algorithm,
                                   Contract contract) {
  std::vector<Variant> candidates = Candidates(algorithm, contract, PhaseOf(problem));
  std::erase_if(candidates, [&](const Variant& variant) {
    return problem.cached_tokens() > 0 && variant.sharding == Sharding::kBalanced;
  });
  return candidates;
}

KernelRate ShapeOf(const KernelStep& step) {
  return {step.algorithm, step.rows(), step.key_count(), step.density(), step.heads_per_kv_head(), 1};
}

}  // namespace

bool LeavesHeads(const Variant& variant, Phase phase) {
  return variant.exchange == Exchange::kNone ||
         (phase == Phase::kDecode && variant.strategy == ParallelStrategy::kSequence &&
          variant.exchange == Exchange::kAllToAll);
}

std::vector<Variant> Candidates(AttentionAlgorithm algorithm, Contract contract, Phase phase) {
  std::vector<Variant> candidates;
  for (const ValidCombination& valid : ValidCombinations(phase)) {
    if (valid.contract != contract || valid.variant.algorithm != algorithm) continue;
    if (!LeavesHeads(valid.variant, phase)) candidates.push_back(valid.variant);
  }
  if (!candidates.empty()) return candidates;
  Variant usual;
  usual.algorithm = algorithm;
  usual.exchange = DefaultExchange(usual.strategy, algorithm, contract, phase);
  const std::string why = WhyInvalid(usual, contract, phase);
  FailUsage("there is nothing to choose from: ", why.empty() ? "no variant is valid" : why);
}

std::vector<Prediction> RankVariants(const AttentionProblem& problem, AttentionAlgorithm algorithm,
                                     Contract contract, const Machine& machine) {
  std::vector<Prediction> ranking;
  for (const Variant& variant : CandidatesFor(problem, algorithm, contract)) {
    ranking.push_back(Predict(problem, variant, contract, machine));
  }
  std::stable_sort(ranking.begin(), ranking.end(), [](const Prediction& a, const Prediction& b) {
    return a.seconds != b.seconds ? a.seconds < b.seconds : a.bytes < b.bytes;
  });
  return ranking;
}

std::vector<KernelStep> StepsToProbe(const AttentionProblem& problem, AttentionAlgorithm algorithm,
                                     Contract contract, const std::vector<int>& node_of_rank, int threads) {
  std::vector<KernelStep> steps;
  std::vector<KernelRate> shapes;
  for (const Variant& variant : CandidatesFor(problem, algorithm, contract)) {
    ForEachStep(problem, variant, contract, node_of_rank, threads, [&](const KernelStep& step) {
      const bool is_known = std::any_of(shapes.begin(), shapes.end(),
                                        [&](const KernelRate& shape) { return AreAlike(shape, step); });
      if (is_known) return;
      steps.push_back(step);
      shapes.push_back(ShapeOf(step));
    });
  }
  return steps;
}

bool FitsSharedMemory(const AttentionProblem& problem, const Variant& variant, Contract contract,
                      int64_t room) {
  if (variant.exchange != Exchange::kShared) return true;
  const int64_t keys = 2 * InputBytes(problem, problem.kv_heads, problem.kv_tokens);
  const int64_t output = OutputBytes(problem, problem.query_heads, problem.query_tokens);
  int64_t bytes = 3 * keys;  // own, and two rooms for what comes around
  if (variant.strategy == ParallelStrategy::kHeadwise) {
    bytes = output;
    if (contract == Contract::kTokenSharded)
      bytes += keys + InputBytes(problem, problem.query_heads, problem.query_tokens);
  }
  return bytes <= room - room / 8;  // windows want some more
}

Choice ChooseVariant(const Communicator& communicator, const std::vector<int>& node_of_rank,
                     const AttentionProblem& problem, AttentionAlgorithm algorithm, Contract contract,
                     const ExecutionOptions& options, const ProbeOptions& probe) {
  std::vector<KernelStep> steps;
  AgreeOnErrors(communicator,
                [&] { steps = StepsToProbe(problem, algorithm, contract, node_of_rank, options.threads); });
  // Each is measured by all ranks together, and which are alike is a matter of logarithms.
  std::string listed;
  for (const KernelStep& step : steps) {
    listed += internal::Concatenate(step.rows(), " x ", step.key_count(), " of ", step.query_heads, "; ");
  }
  AgreeOnText(communicator, listed, "the steps to probe");
  const std::vector<Variant> candidates = Candidates(algorithm, contract, PhaseOf(problem));
  Choice choice;
  choice.rates = ProbeRates(communicator, node_of_rank, problem, options, steps, probe);
  std::string order;
  const int64_t room = communicator.Min(RoomForSharedMemory());
  AgreeOnErrors(communicator, [&] {
    choice.ranking =
        RankVariants(problem, algorithm, contract, {node_of_rank, options.threads, choice.rates});
    if (communicator.size() == 1) {
      std::erase_if(choice.ranking,
                    [&](const Prediction& prediction) { return prediction.variant != candidates.front(); });
    }
    std::erase_if(choice.ranking, [&](const Prediction& prediction) {
      return communicator.size() > 1 && !FitsSharedMemory(problem, prediction.variant, contract, room);
    });
    for (const Prediction& prediction : choice.ranking) {
      const auto place = std::find(candidates.begin(), candidates.end(), prediction.variant);
      order += std::to_string(place - candidates.begin()) + " ";
    }
  });
  // The rates are the same everywhere, but ranks of different CPUs may round a logarithm differently.
  std::istringstream places(communicator.Broadcast(order, 0));
  std::vector<Prediction> ranking;
  for (size_t place = 0; places >> place;) {
    ranking.push_back(
        *std::find_if(choice.ranking.begin(), choice.ranking.end(),
                      [&](const Prediction& prediction) { return prediction.variant == candidates[place]; }));
  }
  choice.ranking = ranking;
  return choice;
}

}  // namespace attention
