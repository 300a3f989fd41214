// What a cell's cases cost, before anything runs: FLOPs and bytes (exact), time (an estimate). For memory see
// memory_cost.h.
#ifndef SRC_EXPERIMENT_PLAN_CASE_COST_H_
#define SRC_EXPERIMENT_PLAN_CASE_COST_H_

#include "src/experiment/ask/cell.h"
#include "src/experiment/ask/experiment_spec.h"
#include "src/parallel/partition/attention_plan.h"

namespace attention {

// Number of (query, visible key) pairs of one head: causal prefill S(S+1)/2, full S*S, decode S.
double VisiblePairs(const AttentionProblem& problem);

// A case's attention as rank 0 runs it, whose shares are the largest.
AttentionPlan PlanOfCase(const Cell& cell, const Variant& variant);

// Fills flops, minimum_bytes, seconds_estimate of the cell and the estimates of its cases. Throws Error (bad
// usage) if a size does not fit 64 bits.
void EstimateCosts(Cell& cell, const MeasureOptions& measure);

}  // namespace attention

#endif  // SRC_EXPERIMENT_PLAN_CASE_COST_H_
