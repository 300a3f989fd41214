#include "src/experiment/ask/cell.h"

namespace attention {

std::string_view Name(Scope scope) {
  constexpr std::string_view kNames[] = {"attention", "block", "layer", "model"};
  return kNames[static_cast<int>(scope)];
}
std::string_view Name(CacheState cache) { return cache == CacheState::kWarm ? "warm" : "cold"; }
std::string_view Name(InputDataKind data) { return data == InputDataKind::kGaussian ? "gaussian" : "peaked"; }

Qwen3Config ConfigOf(const Cell& cell) {
  Qwen3Config config = cell.weights != nullptr ? cell.weights->config : Qwen3Config::FromShape(cell.model);
  if (cell.scope == Scope::kBlock) config.intermediate_size = 0;
  return config;
}

}  // namespace attention
