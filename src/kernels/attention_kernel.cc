#include "src/kernels/attention_kernel.h"

#include <string>

#include "src/base/error.h"
#include "src/kernels/exact_softmax.h"
#include "src/kernels/online_softmax.h"
#include "src/kernels/step_layout.h"
#include "src/kernels/tile_kernels.h"

namespace attention {

std::vector<Isa> SupportedIsas() {
  std::vector<Isa> isas;
  for (Isa isa : kAllIsas) {
    if (IsSupported(isa)) isas.push_back(isa);
  }
  return isas;
}

Isa BestIsa() { return SupportedIsas().back(); }

std::unique_ptr<AttentionBackend> MakeAttentionKernel(const BackendConfig& config) {
  CheckConfig(config);
  if (!IsSupported(config.isa)) {
    std::string names;
    for (Isa isa : SupportedIsas()) names += " " + std::string(Name(isa));
    FailUsage("this CPU does not run ", Name(config.isa), "; it runs:", names);
  }
  switch (config.algorithm) {
    case AttentionAlgorithm::kStandard:
      return MakeStandard(config);
    case AttentionAlgorithm::kRowBlocked:
      return MakeRowBlocked(config);
    case AttentionAlgorithm::kOnlineSoftmax:
      return MakeOnlineSoftmax(config);
  }
  FailUsage("unknown algorithm");
}

}  // namespace attention
