// Attention by exact softmax over whole rows, in two sizes of score matrix.
//
//   standard     one S x S score matrix, reused from head to head; all threads share a head's rows, and each
//                takes its part of the matrix through three phases (scores, softmax, weighted sum)
//   row_blocked  a score matrix of q_block rows per thread, the same phases on it (SlimAttention)
#ifndef SRC_KERNELS_EXACT_SOFTMAX_H_
#define SRC_KERNELS_EXACT_SOFTMAX_H_

#include <memory>

#include "src/attention/attention_backend.h"
#include "src/kernels/simd/tile_kernels.h"

namespace attention {

// config must have passed CheckConfig; kernels: the table of its ISA, data type and head_dim.
std::unique_ptr<AttentionBackend> MakeStandard(const BackendConfig& config, const TileKernels& kernels);
std::unique_ptr<AttentionBackend> MakeRowBlocked(const BackendConfig& config, const TileKernels& kernels);

}  // namespace attention

#endif  // SRC_KERNELS_EXACT_SOFTMAX_H_
