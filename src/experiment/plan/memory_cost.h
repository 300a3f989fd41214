// What a cell holds in memory on one rank, before anything runs: so that what does not fit is not begun.
#ifndef SRC_EXPERIMENT_PLAN_MEMORY_COST_H_
#define SRC_EXPERIMENT_PLAN_MEMORY_COST_H_

#include "src/experiment/ask/cell.h"
#include "src/experiment/ask/experiment_spec.h"

namespace attention {

// Fills memory_bytes_per_rank of the cell (all that is resident at its peak, the process itself included) and
// of its cases (what each adds), of rank 0, whose shares are the largest (buffers: of any). Estimates: within
// 10 % or 64 MiB of the resident set on a grid of cells, in a test. Throws Error (bad usage) if a size does
// not fit 64 bits.
//
// All variants of a cell are made before the first is measured, so theirs add up; a model's weights are
// shared by the variants of one strategy. Beside them stand what their limits are measured on and what
// evicts caches; and the float64 reference.
void EstimateMemory(Cell& cell, const ExperimentSpec& spec);

}  // namespace attention

#endif  // SRC_EXPERIMENT_PLAN_MEMORY_COST_H_
