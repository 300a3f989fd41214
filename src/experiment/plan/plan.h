// Experiment -> cells and cases, with what each costs.
#ifndef SRC_EXPERIMENT_PLAN_PLAN_H_
#define SRC_EXPERIMENT_PLAN_PLAN_H_

#include <cstddef>
#include <vector>

#include "src/experiment/ask/cell.h"
#include "src/experiment/ask/experiment_spec.h"
#include "src/simd/isa.h"

namespace attention {

struct Plan {
  std::vector<Cell> cells;
  int max_ranks = 1;
  double seconds_estimate() const;
  size_t case_count() const;
  bool has_automatic_cases() const;
};

struct PlanOptions {
  Isa best_isa = Isa::kScalar;  // what "auto" means here
};

// Throws Error (bad usage), with the place of the value at fault, for combinations that are not valid, for
// sizes beyond 64 bits, and for grids of more than a million cases.
Plan MakePlan(const ExperimentSpec& spec, const PlanOptions& options);

}  // namespace attention

#endif  // SRC_EXPERIMENT_PLAN_PLAN_H_
