// What a step of a kernel costs, by the calibration: seconds from shapes and positions, no memory read.
#ifndef SRC_SIMULATE_STEP_COST_H_
#define SRC_SIMULATE_STEP_COST_H_

#include "src/attention/attention_backend.h"
#include "src/simulate/calibration.h"

namespace attention {

// Sum over the pairs of a run of queries and a run of keys. A pair of runs that sees all its keys costs what
// a step of its lengths does, alone in its step or one of several. One that the mask cuts costs as many
// visible pairs of the triangle that has so many: exact where it is a causal diagonal.
double StepSeconds(const Calibration& calibration, const BackendConfig& config, const AttentionStep& step);

// What a step has to move through memory: queries, keys and values once, and what it leaves; the state that
// it goes on from, too. Kernels keep the rest in caches.
double StepBytes(const BackendConfig& config, const AttentionStep& step);

}  // namespace attention

#endif  // SRC_SIMULATE_STEP_COST_H_
