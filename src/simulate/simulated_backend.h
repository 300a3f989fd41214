// A kernel backend that only spends simulated time.
#ifndef SRC_SIMULATE_SIMULATED_BACKEND_H_
#define SRC_SIMULATE_SIMULATED_BACKEND_H_

#include <memory>

#include "src/attention/attention_backend.h"

namespace attention {

// A BackendFactory, for ranks of a SimulatedJob: a step takes what the calibration of the rank's host says,
// and touches no memory. Throws Error (bad usage) if such kernels were not measured.
std::unique_ptr<AttentionBackend> MakeSimulatedBackend(const BackendConfig& config);

}  // namespace attention

#endif  // SRC_SIMULATE_SIMULATED_BACKEND_H_
