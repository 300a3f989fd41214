// How many rounds a cell gets.
#ifndef SRC_EXPERIMENT_MEASURE_ROUNDS_H_
#define SRC_EXPERIMENT_MEASURE_ROUNDS_H_

#include <vector>

#include "src/experiment/ask/experiment_spec.h"

namespace attention {

// Whether the pilot should end after a round: where all its rounds would eat the cell's budget, fewer must
// do.
bool PilotIsLong(const MeasureOptions& measure, double elapsed_s);

// The number of rounds of the one fixed-size test, from `done` discarded pilot rounds that took elapsed_s;
// pilot[variant][round]: times. With too few rounds for the rule, or a budget below it, the budget alone
// decides, still before the test begins.
int RoundsAfterPilot(const MeasureOptions& measure, const std::vector<std::vector<double>>& pilot, int done,
                     double elapsed_s);

// Without a pilot: as many as the budget has room for, from what one round took before. Without a budget,
// max_rounds.
int RoundsByTime(const MeasureOptions& measure, double round_s);

}  // namespace attention

#endif  // SRC_EXPERIMENT_MEASURE_ROUNDS_H_
