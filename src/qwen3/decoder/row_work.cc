#include "src/qwen3/decoder/row_work.h"

#include "src/base/error.h"
#include "src/base/int8_row.h"
#include "src/base/tensor_rows.h"

namespace attention {
namespace {

// Position of a local token in the whole sequence.
int64_t GlobalPosition(const TokenSegments& tokens, int64_t local) {
  for (const TokenSegment& segment : tokens) {
    if (local < segment.local_begin + segment.length)
      return segment.global_begin + local - segment.local_begin;
  }
  Fail("token ", local, " is beyond this rank's share");
}

// Rows worth a thread each; one row is not.
template <typename Function>
void ForEachRow(int threads, int64_t rows, const Function& function) {
#pragma omp parallel for num_threads(threads) schedule(static) if (rows > 1)
  for (int64_t row = 0; row < rows; ++row) function(row);
}

}  // namespace

RowWork::RowWork(const Qwen3Config& config, Isa isa, int threads, const RotaryTable& rotary)
    : row_kernels_(&GetRowKernels(isa)),
      rotary_(&rotary),
      head_dim_(config.head_dim),
      epsilon_(static_cast<float>(config.rms_norm_epsilon)),
      threads_(threads) {}

void RowWork::Norm(const float* x, std::span<const float> weight, int64_t rows, float* y) const {
  const int64_t width = std::ssize(weight);
  ForEachRow(threads_, rows, [&](int64_t row) {
    row_kernels_->rms_norm(x + row * width, weight.data(), width, epsilon_, y + row * width);
  });
}

void RowWork::AddBias(std::span<const float> bias, int64_t rows, float* x) const {
  if (bias.empty()) return;
  ForEachRow(threads_, rows, [&](int64_t row) {
    float* values = x + row * std::ssize(bias);
    for (size_t i = 0; i < bias.size(); ++i) values[i] += bias[i];
  });
}

void RowWork::KeepRow(std::span<const float> from, const TensorView& cache, const TensorView& widened,
                      int64_t batch, int64_t head, int64_t token) const {
  if (cache.data_type == DataType::kBfloat16) {
    row_kernels_->round_to_bfloat16(from.data(), std::ssize(from), cache.Row<Bfloat16>(batch, head, token));
    return;
  }
  StoreRow(from, cache, batch, head, token);
  if (widened.data == nullptr) return;
  WidenInt8Row(cache.Row<int8_t>(batch, head, token), {widened.Row<float>(batch, head, token), from.size()});
}

void RowWork::KeepKeysAndValues(const AttentionWeights& weights, const ProjectedRows& projected,
                                const KeptTokens& kept, int64_t row) const {
  const int64_t head_dim = head_dim_;
  const float epsilon = epsilon_;
  const int64_t tokens = TokenCount(*projected.tokens);
  const int64_t batch = row / tokens, token = row % tokens;
  const int64_t position = GlobalPosition(*projected.tokens, token);
  float* key = projected.data + row * projected.width + projected.query_heads * head_dim;
  const float* value = key + projected.kv_heads * head_dim;
  const TensorView widened_keys = kept.widened != nullptr ? kept.widened->keys() : TensorView{},
                   widened_values = kept.widened != nullptr ? kept.widened->values() : TensorView{};
  const auto row_of = [&](const float* from) { return std::span(from, static_cast<size_t>(head_dim)); };
  for (int64_t head = 0; head < projected.kv_heads; ++head, key += head_dim, value += head_dim) {
    row_kernels_->rms_norm(key, weights.k_norm.data(), head_dim, epsilon, key);
    row_kernels_->rotate_half(key, rotary_->cos(position), rotary_->sin(position), rotary_->half());
    KeepRow(row_of(key), kept.cache->keys(), widened_keys, batch, head, kept.begin + token);
    KeepRow(row_of(value), kept.cache->values(), widened_values, batch, head, kept.begin + token);
  }
}

void RowWork::NormAndRotate(const AttentionWeights& weights, const ProjectedRows& projected,
                            const KeptTokens& kept) const {
  const int64_t head_dim = head_dim_;
  const float epsilon = epsilon_;
  const int64_t tokens = TokenCount(*projected.tokens);
  ForEachRow(threads_, projected.rows(), [&](int64_t row) {
    float* heads = projected.data + row * projected.width;
    const int64_t position = GlobalPosition(*projected.tokens, row % tokens);
    for (int64_t head = 0; head < projected.query_heads; ++head) {
      float* query = heads + head * head_dim;
      row_kernels_->rms_norm(query, weights.q_norm.data(), head_dim, epsilon, query);
      row_kernels_->rotate_half(query, rotary_->cos(position), rotary_->sin(position), rotary_->half());
    }
    if (projected.rounded_queries != nullptr) {
      const int64_t width = projected.query_heads * head_dim;
      row_kernels_->round_to_bfloat16(heads, width, projected.rounded_queries + row * width);
    }
    if (kept.cache != nullptr) KeepKeysAndValues(weights, projected, kept, row);
  });
}

void RowWork::Activate(const Rows& gate_up, int64_t groups, const Rows& activated) const {
  ForEachRow(threads_, gate_up.rows, [&](int64_t row) {
    row_kernels_->swiglu(gate_up.data + row * gate_up.stride, groups,
                         activated.data + row * activated.stride);
  });
}

}  // namespace attention
