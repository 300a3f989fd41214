// How many rounds a cell gets, and in which order its variants run.
#ifndef SRC_EXPERIMENT_MEASURE_ROUNDS_H_
#define SRC_EXPERIMENT_MEASURE_ROUNDS_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "src/experiment/ask/experiment_spec.h"

namespace attention {

// Stands for a round in RoundOrder: the order in which variants are made.
inline constexpr int kOrderOfMaking = std::numeric_limits<int>::min();

// Order of `count` variants in a round: the same on every rank.
std::vector<int> RoundOrder(int count, uint64_t seed, int launch, const std::string& cell, int round);

// Whether the pilot should end after a round: where all its rounds would eat the cell's budget, fewer must
// do.
bool PilotIsLong(const MeasureOptions& measure, double elapsed_s);

// The number of rounds of the one fixed-size test, from `done` discarded pilot rounds that took elapsed_s;
// pilot[variant][round]: times. With too few rounds for the rule, or a budget below it, the budget alone
// decides, still before the test begins.
int RoundsAfterPilot(const MeasureOptions& measure, const std::vector<std::vector<double>>& pilot, int done,
                     double elapsed_s);

}  // namespace attention

#endif  // SRC_EXPERIMENT_MEASURE_ROUNDS_H_
