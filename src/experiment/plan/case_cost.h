// What a cell's cases cost, before anything runs: FLOPs (exact), bytes, memory and time (estimates).
#ifndef SRC_EXPERIMENT_PLAN_CASE_COST_H_
#define SRC_EXPERIMENT_PLAN_CASE_COST_H_

#include "src/experiment/plan/plan.h"

namespace attention {

// Fills flops, minimum_bytes, seconds_estimate of the cell and the estimates of its cases. Throws Error (bad
// usage) if a size does not fit 64 bits.
void EstimateCosts(Cell& cell, const MeasureOptions& measure);

}  // namespace attention

#endif  // SRC_EXPERIMENT_PLAN_CASE_COST_H_
