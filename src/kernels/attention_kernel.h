// The Highway kernels: every algorithm, for every ISA, from one source each.
#ifndef SRC_KERNELS_ATTENTION_KERNEL_H_
#define SRC_KERNELS_ATTENTION_KERNEL_H_

#include <memory>
#include <vector>

#include "src/attention/attention_backend.h"
#include "src/kernels/simd/tile_kernels.h"

namespace attention {

// Throws Error (bad usage) if the CPU lacks config.isa or the shape is out of range, naming what is allowed.
// The ISA is a value: backends of different ISAs may live and run side by side in one process.
std::unique_ptr<AttentionBackend> MakeAttentionKernel(const BackendConfig& config);
// The same drivers over another table of tile functions, for tests that watch how they are called. config as
// above, checked by the caller.
std::unique_ptr<AttentionBackend> MakeKernelFromTable(const BackendConfig& config,
                                                      const TileKernels& kernels);

}  // namespace attention

#endif  // SRC_KERNELS_ATTENTION_KERNEL_H_
