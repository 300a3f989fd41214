#include "src/simd/isa.h"

#include <cstdint>

#include "hwy/targets.h"

namespace attention {

std::optional<Isa> ParseIsa(std::string_view name) {
  for (const IsaRow& row : kIsaTable) {
    if (row.name == name) return row.isa;
  }
  return std::nullopt;
}

bool IsSupported(Isa isa) {
  const int64_t supported = hwy::SupportedTargets();
  switch (RowOf(isa).target) {
    case SimdTarget::kScalar:
      return true;
    case SimdTarget::kSse4:
      return (supported & HWY_SSE4) != 0;
    case SimdTarget::kAvx2:
      return (supported & HWY_AVX2) != 0;
    case SimdTarget::kAvx3:
      return (supported & HWY_AVX3) != 0;
  }
  return false;
}

std::vector<Isa> SupportedIsas() {
  std::vector<Isa> isas;
  for (Isa isa : kAllIsas) {
    if (IsSupported(isa)) isas.push_back(isa);
  }
  return isas;
}

Isa BestIsa() { return SupportedIsas().back(); }

bool HasBfloat16Dot(Isa isa) {
#if defined(__x86_64__)
  return RowOf(isa).target == SimdTarget::kAvx3 && __builtin_cpu_supports("avx512bf16");
#else
  static_cast<void>(isa);
  return false;
#endif
}

bool HasInt8Dot(Isa isa) {
#if defined(__x86_64__)
  return RowOf(isa).target == SimdTarget::kAvx3 && __builtin_cpu_supports("avx512vnni");
#else
  static_cast<void>(isa);
  return false;
#endif
}

}  // namespace attention
