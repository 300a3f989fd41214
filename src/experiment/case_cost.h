// What a cell's cases cost, before anything runs: FLOPs (exact), bytes, memory and time (estimates).
#ifndef SRC_EXPERIMENT_CASE_COST_H_
#define SRC_EXPERIMENT_CASE_COST_H_

#include "src/experiment/plan.h"

namespace attention {

// Fills flops, minimum_bytes, seconds_estimate of the cell and the estimates of its cases. Throws Error (bad
// usage) if a size does not fit 64 bits.
void EstimateCosts(Cell& cell, const MeasureOptions& measure);

// Rate assumed for the time estimate: what a well-fed core of a present server reaches, GFLOP/s.
double AssumedCoreGflops(Isa isa);

}  // namespace attention

#endif  // SRC_EXPERIMENT_CASE_COST_H_
