#include "src/attention/attention_types.h"

namespace attention {

std::optional<AttentionAlgorithm> ParseAlgorithm(std::string_view name) {
  for (AttentionAlgorithm algorithm : kAllAlgorithms) {
    if (Name(algorithm) == name) return algorithm;
  }
  return std::nullopt;
}

}  // namespace attention
