// The AttentionBackend that tests of strategies run against: float64 arithmetic, no tiles, no vectors.
#ifndef SRC_KERNELS_REFERENCE_BACKEND_H_
#define SRC_KERNELS_REFERENCE_BACKEND_H_

#include <memory>

#include "src/kernels/attention_backend.h"

namespace attention {

std::unique_ptr<AttentionBackend> MakeReferenceBackend(const BackendConfig& config);

}  // namespace attention

#endif  // SRC_KERNELS_REFERENCE_BACKEND_H_
