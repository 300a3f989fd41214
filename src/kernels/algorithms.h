// Which algorithm is computed by which driver. A driver is a file of its own, *_softmax.cc, known here by its
// maker alone.
//
//   standard        one S x S score matrix, reused from head to head; all threads share a head's rows, and
//   each takes
//                   its part of the matrix through three phases (scores, softmax, weighted sum)
//   row_blocked     a score matrix of q_block rows per thread, the same phases on it (SlimAttention)
//   online_softmax  tiles of keys with a running maximum and sum per query row
#ifndef SRC_KERNELS_ALGORITHMS_H_
#define SRC_KERNELS_ALGORITHMS_H_

#include <memory>

#include "src/attention/attention_backend.h"
#include "src/kernels/simd/tile_kernels.h"

namespace attention {

// config must have passed CheckConfig; kernels: the table of its ISA, data type and head_dim.
using AlgorithmMaker = std::unique_ptr<AttentionBackend>(const BackendConfig& config,
                                                         const TileKernels& kernels);

AlgorithmMaker MakeStandard;
AlgorithmMaker MakeRowBlocked;
AlgorithmMaker MakeOnlineSoftmax;

struct AlgorithmDriver {
  AttentionAlgorithm algorithm;
  AlgorithmMaker* make;
};

inline constexpr AlgorithmDriver kAlgorithmDrivers[] = {
    {AttentionAlgorithm::kStandard, &MakeStandard},
    {AttentionAlgorithm::kRowBlocked, &MakeRowBlocked},
    {AttentionAlgorithm::kOnlineSoftmax, &MakeOnlineSoftmax},
};

}  // namespace attention

#endif  // SRC_KERNELS_ALGORITHMS_H_
