// Attention by online softmax: tiles of keys with a running maximum and sum per query row.
#ifndef SRC_KERNELS_ONLINE_SOFTMAX_H_
#define SRC_KERNELS_ONLINE_SOFTMAX_H_

#include <memory>

#include "src/kernels/attention_backend.h"

namespace attention {

// config must have passed CheckConfig.
std::unique_ptr<AttentionBackend> MakeOnlineSoftmax(const BackendConfig& config);

}  // namespace attention

#endif  // SRC_KERNELS_ONLINE_SOFTMAX_H_
