// Attention by online softmax: tiles of keys with a running maximum and sum per query row.
#ifndef SRC_KERNELS_ONLINE_SOFTMAX_H_
#define SRC_KERNELS_ONLINE_SOFTMAX_H_

#include <memory>

#include "src/attention/attention_backend.h"
#include "src/kernels/simd/tile_kernels.h"

namespace attention {

// config must have passed CheckConfig; kernels: the table of its ISA, data type and head_dim.
std::unique_ptr<AttentionBackend> MakeOnlineSoftmax(const BackendConfig& config, const TileKernels& kernels);

}  // namespace attention

#endif  // SRC_KERNELS_ONLINE_SOFTMAX_H_
