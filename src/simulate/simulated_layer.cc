#include "src/simulate/simulated_layer.h"

#include <algorithm>
#include <span>

namespace attention {
namespace {

AlignedBuffer Floats(int64_t rows, int64_t columns) {
  return AlignedBuffer(static_cast<size_t>(rows * columns) * sizeof(float));
}

}  // namespace

SimulatedLayer::SimulatedLayer(Communicator& communicator, const Cell& cell, const Variant& variant,
                               const ExecutionOptions& options)
    : config_(ConfigOf(cell)),
      scope_(cell.scope),
      share_(StoredWeights(config_, variant.strategy, communicator.size(), communicator.rank())),
      rotary_(cell.seq_len, config_.head_dim, config_.rope_theta, config_.rope_scaling),
      step_(communicator, config_, variant, options, rotary_,
            {cell.problem.batch, cell.problem.query_tokens, cell.seq_len, cell.phase, cell.problem.mask},
            cell.precision),
      qkv_((share_.heads.query.size() + 2 * share_.heads.kv.size()) * config_.head_dim, config_.hidden_size,
           cell.problem.data_type),
      o_(config_.hidden_size, share_.heads.query.size() * config_.head_dim, cell.problem.data_type),
      gate_up_(share_.gate_groups.size() * kPanelOutputs, config_.hidden_size, cell.problem.data_type),
      down_(config_.hidden_size, share_.gate_groups.size() * kGateGroup, cell.problem.data_type),
      norm_(Floats(1, config_.hidden_size)),
      cache_(cell.problem.batch, share_.heads.kv.size(),
             std::max(CacheTokens(variant.strategy, cell.seq_len, communicator.size()),
                      TokenCount(step_.tokens())),
             config_.head_dim, cell.precision.kv_cache),
      input_(Floats(step_.rows(), config_.hidden_size)),
      output_(Floats(step_.rows(), config_.hidden_size)) {}

LayerWeights SimulatedLayer::Weights() const {
  const std::span<const float> norm = norm_.As<float>();
  const std::span<const float> head_norm = norm.first(static_cast<size_t>(config_.head_dim));
  return {
      norm, norm, {qkv_.view(), o_.view(), head_norm, head_norm, {}, {}}, {gate_up_.view(), down_.view()}};
}

void SimulatedLayer::Run() {
  const LayerWeights weights = Weights();
  float* output = output_.As<float>().data();
  if (scope_ == Scope::kLayer) return step_.Layer(weights, cache_, output);
  step_.Attention(weights.attention, input_.As<float>().data(), cache_, Store::kOverwrite, output);
}

}  // namespace attention
