// What the binary prints: plans, results, what is possible here.
#ifndef SRC_EXPERIMENT_COMMANDS_REPORT_H_
#define SRC_EXPERIMENT_COMMANDS_REPORT_H_

#include <string>
#include <vector>

#include "src/experiment/ask/experiment_spec.h"
#include "src/experiment/plan/plan.h"
#include "src/experiment/record/results.h"
#include "src/parallel/choose/choose.h"
#include "src/qwen3/verify.h"

namespace attention {

// One row per cell; what is the same in all cells stands above. At most 100 columns wide.
std::string PlanReport(const ExperimentSpec& spec, const Plan& plan);

// What an automatic variant of a cell is chosen from, fastest first, and the rates behind it.
std::string ExplainReport(const Cell& cell, const Choice& choice);

// Time, GFLOP/s, per cent of the measured FMA peak, exposed communication (where it is known to be above
// nothing) and error of each case; failures below, a line each.
std::string ResultReport(const std::vector<CaseRow>& rows);

// Error against a file made elsewhere, a row per variant and ISA.
std::string VerifyReport(const std::string& file, const std::vector<VerifyResult>& results);

// ISAs of this machine, models, valid combinations.
std::string ListReport();

}  // namespace attention

#endif  // SRC_EXPERIMENT_COMMANDS_REPORT_H_
