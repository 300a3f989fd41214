// In a simulation: what a decoder does to rows takes its time.
#include "src/qwen3/decoder/row_work.h"

#include "src/simulate/simulated_time.h"

namespace attention {
namespace {

constexpr int64_t Floats(int64_t rows, int64_t columns) {
  return rows * columns * static_cast<int64_t>(sizeof(float));
}

}  // namespace

RowWork::RowWork(const Qwen3Config& config, Isa, int threads, const RotaryTable& rotary)
    : row_kernels_(nullptr),
      rotary_(&rotary),
      head_dim_(config.head_dim),
      epsilon_(static_cast<float>(config.rms_norm_epsilon)),
      threads_(threads) {}

void RowWork::Norm(const float*, std::span<const float> weight, int64_t rows, float*) const {
  SpendBytes(MemoryWork::kNorm, Floats(rows, std::ssize(weight)));
}

void RowWork::AddBias(std::span<const float> bias, int64_t rows, float*) const {
  if (!bias.empty()) SpendBytes(MemoryWork::kAdd, 3 * Floats(rows, std::ssize(bias)));
}

void RowWork::NormAndRotate(const AttentionWeights&, const ProjectedRows& projected,
                            const KeptTokens& kept) const {
  SpendBytes(MemoryWork::kRotate, Floats(projected.rows(), projected.query_heads * head_dim_));
  if (kept.cache == nullptr) return;
  SpendBytes(MemoryWork::kKeep, Floats(projected.rows(), 2 * projected.kv_heads * head_dim_));
}

void RowWork::Activate(const Rows& gate_up, int64_t groups, const Rows&) const {
  SpendBytes(MemoryWork::kActivate, Floats(gate_up.rows, groups * kPanelOutputs));
}

}  // namespace attention
