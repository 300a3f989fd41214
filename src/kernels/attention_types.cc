#include "src/kernels/attention_types.h"

namespace attention {

std::optional<AttentionAlgorithm> ParseAlgorithm(std::string_view name) {
  for (AttentionAlgorithm algorithm : kAllAlgorithms) {
    if (Name(algorithm) == name) return algorithm;
  }
  return std::nullopt;
}

std::optional<Isa> ParseIsa(std::string_view name) {
  for (Isa isa : kAllIsas) {
    if (Name(isa) == name) return isa;
  }
  return std::nullopt;
}

}  // namespace attention
