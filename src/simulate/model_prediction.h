// What the cost model of `auto` says of a case on a platform, to be held against its simulation.
#ifndef SRC_SIMULATE_MODEL_PREDICTION_H_
#define SRC_SIMULATE_MODEL_PREDICTION_H_

#include "src/experiment/ask/cell.h"
#include "src/parallel/choose/cost_model.h"
#include "src/simulate/calibration.h"
#include "src/simulate/platform.h"

namespace attention {

// As Predict(), with the rates that a probe would find there while all ranks do the like: links as the
// platform has them, shared by a node's ranks, and hiding wholly; kernels as the calibration has them, or the
// node's memory, if that is later. Of the scope attention. Throws Error (bad usage) as Predict.
Prediction PredictOn(const Platform& platform, const Calibration& calibration, const Cell& cell,
                     const Variant& variant);

}  // namespace attention

#endif  // SRC_SIMULATE_MODEL_PREDICTION_H_
