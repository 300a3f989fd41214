#include "src/parallel/choose/cost_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/base/error.h"
#include "src/parallel/choose/pricing.h"
#include "src/parallel/partition/communication.h"

namespace attention {
namespace {

// Nodes by their number among those there are, so that they index a vector.
std::vector<int> Numbered(const std::vector<int>& nodes) {
  std::vector<int> known, numbered;
  for (int node : nodes) {
    const auto found = std::find(known.begin(), known.end(), node);
    numbered.push_back(static_cast<int>(found - known.begin()));
    if (found == known.end()) known.push_back(node);
  }
  return numbered;
}

AttentionPlan PlanFor(const AttentionProblem& problem, const Variant& variant, Contract contract, int threads,
                      const std::vector<int>& node_of_rank) {
  const size_t ranks = node_of_rank.size();
  Require(ranks >= 1 && ranks <= static_cast<size_t>(kMostRanksPriced), "strategies are priced for 1 to ",
          kMostRanksPriced, " ranks, not ", ranks, "; name one");
  ExecutionOptions options;
  options.threads = threads;
  AttentionPlan plan = AttentionPlan::Make(problem, variant, contract, options, static_cast<int>(ranks), 0);
  plan.SetNodes(node_of_rank);
  return plan;
}

double Octaves(double a, double b) { return std::abs(std::log2(a / b)); }

}  // namespace

double Unlikeness(const KernelRate& rate, const KernelStep& step) {
  constexpr double kDensityWeight = 4;
  return Octaves(rate.rows, step.rows()) + Octaves(rate.keys, step.key_count()) +
         Octaves(rate.heads_per_kv_head, step.heads_per_kv_head()) +
         kDensityWeight * std::abs(rate.density - step.density());
}

bool AreAlike(const KernelRate& rate, const KernelStep& step) { return Unlikeness(rate, step) < 1.0 / 3; }

Prediction Predict(const AttentionProblem& problem, const Variant& variant, Contract contract,
                   const Machine& machine) {
  const AttentionPlan plan = PlanFor(problem, variant, contract, machine.threads, machine.node_of_rank);
  const Rates& rates = machine.rates;
  const StepClock clock = [&](const KernelStep& step) {
    const KernelRate* nearest = nullptr;
    double least = std::numeric_limits<double>::infinity();
    for (const KernelRate& rate : rates.kernels) {
      if (rate.algorithm != step.algorithm || Unlikeness(rate, step) >= least) continue;
      least = Unlikeness(rate, step);
      nearest = &rate;
    }
    Require(nearest != nullptr, "no rate of a kernel of ", Name(step.algorithm), " is known");
    const double pairs = step.pairs * static_cast<double>(problem.batch * step.query_heads);
    return rates.kernel_call_s + pairs / nearest->pairs_per_second;
  };
  const std::vector<int> nodes = Numbered(machine.node_of_rank);
  Prediction prediction;
  prediction.variant = variant;
  for (const RankTime& time : Pricing(plan, nodes, rates, clock).Run()) {
    prediction.seconds = std::max(prediction.seconds, time.end);
    prediction.compute_s = std::max(prediction.compute_s, time.compute);
    prediction.exchange_s = std::max(prediction.exchange_s, time.exchange);
  }
  prediction.bytes = MostBytesSent(plan);
  return prediction;
}

void ForEachStep(const AttentionProblem& problem, const Variant& variant, Contract contract,
                 const std::vector<int>& node_of_rank, int threads,
                 const std::function<void(const KernelStep& step)>& use) {
  const AttentionPlan plan = PlanFor(problem, variant, contract, threads, node_of_rank);
  const StepClock clock = [&](const KernelStep& step) {
    use(step);
    return 0.0;
  };
  const Rates no_rates;
  const std::vector<int> nodes = Numbered(node_of_rank);
  Pricing(plan, nodes, no_rates, clock).Run();
}

}  // namespace attention
