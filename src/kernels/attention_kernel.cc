#include "src/kernels/attention_kernel.h"

#include <string>

#include "src/base/error.h"
#include "src/kernels/algorithms.h"
#include "src/kernels/layout/step_layout.h"
#include "src/kernels/simd/tile_kernels.h"

namespace attention {

std::unique_ptr<AttentionBackend> MakeAttentionKernel(const BackendConfig& config) {
  CheckConfig(config);
  if (!IsSupported(config.isa)) {
    std::string names;
    for (Isa isa : SupportedIsas()) names += " " + std::string(Name(isa));
    FailUsage("this CPU does not run ", Name(config.isa), "; it runs:", names);
  }
  return MakeKernelFromTable(config, GetTileKernels(config.isa, config.key_value_type(), config.head_dim));
}

std::unique_ptr<AttentionBackend> MakeKernelFromTable(const BackendConfig& config,
                                                      const TileKernels& kernels) {
  for (const AlgorithmDriver& driver : kAlgorithmDrivers) {
    if (driver.algorithm == config.algorithm) return driver.make(config, kernels);
  }
  FailUsage("no kernel computes ", Name(config.algorithm));
}

}  // namespace attention
