// Instruction sets: one row each, which owns the name, the Highway target that serves it, and what is assumed
// of its speed before anything is measured.
#ifndef SRC_SIMD_ISA_H_
#define SRC_SIMD_ISA_H_

#include <array>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string_view>
#include <vector>

namespace attention {

enum class Isa { kScalar, kSse4, kAvx2, kAvx512 };

// The targets that sources of src/simd and its users are compiled for (dispatch.h).
enum class SimdTarget { kScalar, kSse4, kAvx2, kAvx3 };

struct IsaRow {
  Isa isa;
  std::string_view name;  // as in YAML, on the command line and in CSV
  SimdTarget target;
  // What a well-fed core of a present server reaches, GFLOP/s: for estimates of time.
  double expected_core_gflops;
  // What any core that has the ISA is expected to beat, about half of a slow clock's peak: work is counted in
  // time at this rate where a clock would cost too much (kernels/threads/progress_meter.h).
  double slow_core_gflops;
};

// Narrowest first, in the order of the enum.
inline constexpr IsaRow kIsaTable[] = {
    {Isa::kScalar, "scalar", SimdTarget::kScalar, 4, 3},
    {Isa::kSse4, "sse4", SimdTarget::kSse4, 20, 12},
    {Isa::kAvx2, "avx2", SimdTarget::kAvx2, 50, 40},
    {Isa::kAvx512, "avx512", SimdTarget::kAvx3, 150, 100},
};

inline constexpr auto kAllIsas = [] {
  std::array<Isa, std::size(kIsaTable)> isas{};
  for (size_t i = 0; i < isas.size(); ++i) isas[i] = kIsaTable[i].isa;
  return isas;
}();

constexpr const IsaRow& RowOf(Isa isa) { return kIsaTable[static_cast<size_t>(isa)]; }
constexpr std::string_view Name(Isa isa) { return RowOf(isa).name; }
std::optional<Isa> ParseIsa(std::string_view name);

// Whether this CPU runs it.
bool IsSupported(Isa isa);
// ISAs this binary holds and this CPU runs, narrowest first; kScalar always.
std::vector<Isa> SupportedIsas();
// The widest of them.
Isa BestIsa();

// Whether this CPU has bf16 dot products (AVX512_BF16) for kernels of the ISA. No ISA of its own: kernels of
// avx512 take them for bf16 where they are.
bool HasBfloat16Dot(Isa isa);
// The same of integer dot products (AVX512_VNNI) and int8.
bool HasInt8Dot(Isa isa);

}  // namespace attention

#endif  // SRC_SIMD_ISA_H_
