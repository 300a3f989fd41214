// The AttentionBackend that tests of strategies run against: float64 arithmetic, no tiles, no vectors.
#ifndef SRC_ATTENTION_REFERENCE_BACKEND_H_
#define SRC_ATTENTION_REFERENCE_BACKEND_H_

#include <memory>

#include "src/attention/attention_backend.h"

namespace attention {

std::unique_ptr<AttentionBackend> MakeReferenceBackend(const BackendConfig& config);

}  // namespace attention

#endif  // SRC_ATTENTION_REFERENCE_BACKEND_H_
