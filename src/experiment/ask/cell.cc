#include "src/experiment/ask/cell.h"

namespace attention {

std::string_view Name(Scope scope) {
  constexpr std::string_view kNames[] = {"attention", "block", "layer", "model"};
  return kNames[static_cast<int>(scope)];
}
std::string_view Name(CacheState cache) { return cache == CacheState::kWarm ? "warm" : "cold"; }
std::string_view Name(InputDataKind data) { return data == InputDataKind::kGaussian ? "gaussian" : "peaked"; }

}  // namespace attention
