#include "src/qwen3/decoder/weights.h"

#include <algorithm>

#include "src/base/error.h"

namespace attention {
namespace {

// Query, key and value rows of the rank's heads, one below the other.
PackedMatrix LoadQkv(const TensorSource& source, const std::string& prefix, const Qwen3Config& config,
                     const HeadShare& heads, DataType type, int threads) {
  const int64_t head_dim = config.head_dim, hidden = config.hidden_size;
  const TensorSource::Reader q = source.Open(prefix + "q_proj.weight", {config.query_width(), hidden});
  const TensorSource::Reader k = source.Open(prefix + "k_proj.weight", {config.key_width(), hidden});
  const TensorSource::Reader v = source.Open(prefix + "v_proj.weight", {config.key_width(), hidden});
  const int64_t query_rows = heads.query.size() * head_dim, key_rows = heads.kv.size() * head_dim;
  PackedMatrix matrix(query_rows + 2 * key_rows, hidden, type);
  matrix.Fill(
      [&](int64_t row, std::span<float> out) {
        if (row < query_rows) return q((heads.query.begin * head_dim + row) * hidden, out);
        row -= query_rows;
        const bool is_key = row < key_rows;
        if (!is_key) row -= key_rows;
        (is_key ? k : v)((heads.kv.begin * head_dim + row) * hidden, out);
      },
      threads);
  return matrix;
}

PackedMatrix LoadGateUp(const TensorSource& source, const std::string& prefix, const Qwen3Config& config,
                        const IndexRange& groups, DataType type, int threads) {
  const int64_t hidden = config.hidden_size, intermediate = config.intermediate_size;
  const TensorSource::Reader gate = source.Open(prefix + "gate_proj.weight", {intermediate, hidden});
  const TensorSource::Reader up = source.Open(prefix + "up_proj.weight", {intermediate, hidden});
  PackedMatrix matrix(groups.size() * kPanelOutputs, hidden, type);
  matrix.Fill(
      [&](int64_t output, std::span<float> out) {
        const GateUpRow row = GateUpRowOf(groups.begin * kPanelOutputs + output);
        if (row.intermediate >= intermediate) return std::fill(out.begin(), out.end(), 0.0f);
        (row.is_up ? up : gate)(row.intermediate * hidden, out);
      },
      threads);
  return matrix;
}

}  // namespace

PackedMatrix LoadMatrix(const TensorSource& source, const MatrixSlice& slice, DataType type, int threads) {
  const TensorSource::Reader read = source.Open(slice.name, {slice.rows, slice.columns});
  PackedMatrix matrix(slice.row_range.size(), slice.column_range.size(), type);
  // A range that reaches beyond the tensor (padding of the last group) is zeros there.
  const int64_t stored =
      std::max<int64_t>(0, std::min(slice.column_range.end, slice.columns) - slice.column_range.begin);
  matrix.Fill(
      [&](int64_t row, std::span<float> out) {
        std::fill(out.begin() + stored, out.end(), 0.0f);
        if (stored == 0) return;  // a share of nothing but padding begins beyond the tensor
        read((slice.row_range.begin + row) * slice.columns + slice.column_range.begin,
             out.first(static_cast<size_t>(stored)));
      },
      threads);
  return matrix;
}

std::vector<float> LoadVector(const TensorSource& source, const std::string& name, int64_t size) {
  std::vector<float> values(static_cast<size_t>(size));
  source.Open(name, {size})(0, values);
  return values;
}

WeightShare WeightShare::Whole(const Qwen3Config& config) {
  return {{{0, config.query_heads}, {0, config.kv_heads}}, {0, GateGroups(config.intermediate_size)}};
}

WeightShare WeightShare::TensorParallel(const Qwen3Config& config, int64_t parts, int64_t index) {
  return {ShareOfHeads(config.query_heads, config.kv_heads, parts, index),
          BalancedRange(GateGroups(config.intermediate_size), parts, index)};
}

WeightShare StoredWeights(const Qwen3Config& config, ParallelStrategy strategy, int64_t ranks, int64_t rank) {
  return strategy == ParallelStrategy::kHeadwise ? WeightShare::TensorParallel(config, ranks, rank)
                                                 : WeightShare::Whole(config);
}

void CheckTensors(const TensorSource& source, const Qwen3Config& config, WeightExtent extent) {
  const int64_t hidden = config.hidden_size, intermediate = config.intermediate_size;
  const auto check = [&](const std::string& name, const std::vector<int64_t>& shape) {
    (void)source.Open(name, shape);
  };
  for (int64_t layer = 0; layer < (extent == WeightExtent::kModel ? config.layers : 1); ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    check(prefix + "self_attn.q_proj.weight", {config.query_width(), hidden});
    check(prefix + "self_attn.k_proj.weight", {config.key_width(), hidden});
    check(prefix + "self_attn.v_proj.weight", {config.key_width(), hidden});
    check(prefix + "self_attn.o_proj.weight", {hidden, config.query_width()});
    check(prefix + "self_attn.q_norm.weight", {config.head_dim});
    check(prefix + "self_attn.k_norm.weight", {config.head_dim});
    if (extent == WeightExtent::kBlock) return;
    check(prefix + "input_layernorm.weight", {hidden});
    check(prefix + "post_attention_layernorm.weight", {hidden});
    check(prefix + "mlp.gate_proj.weight", {intermediate, hidden});
    check(prefix + "mlp.up_proj.weight", {intermediate, hidden});
    check(prefix + "mlp.down_proj.weight", {hidden, intermediate});
  }
  if (extent == WeightExtent::kLayer) return;
  check("model.embed_tokens.weight", {config.vocabulary_size, hidden});
  check("model.norm.weight", {hidden});
  if (!config.tied_embeddings) check("lm_head.weight", {config.vocabulary_size, hidden});
}

LayerStorage::LayerStorage(const TensorSource& source, const std::string& prefix, const Qwen3Config& config,
                           const WeightShare& share, DataType type, int threads) {
  const std::string attention = prefix + "self_attn.", mlp = prefix + "mlp.";
  const int64_t hidden = config.hidden_size, head_dim = config.head_dim;
  qkv_ = LoadQkv(source, attention, config, share.heads, type, threads);
  o_ = LoadMatrix(source,
                  {attention + "o_proj.weight",
                   hidden,
                   config.query_width(),
                   {0, hidden},
                   {share.heads.query.begin * head_dim, share.heads.query.end * head_dim}},
                  type, threads);
  q_norm_ = LoadVector(source, attention + "q_norm.weight", head_dim);
  k_norm_ = LoadVector(source, attention + "k_norm.weight", head_dim);
  if (config.intermediate_size == 0) return;
  input_norm_ = LoadVector(source, prefix + "input_layernorm.weight", hidden);
  post_attention_norm_ = LoadVector(source, prefix + "post_attention_layernorm.weight", hidden);
  gate_up_ = LoadGateUp(source, mlp, config, share.gate_groups, type, threads);
  down_ = LoadMatrix(source,
                     {mlp + "down_proj.weight",
                      hidden,
                      config.intermediate_size,
                      {0, hidden},
                      {share.gate_groups.begin * kGateGroup, share.gate_groups.end * kGateGroup}},
                     type, threads);
}

LayerWeights LayerStorage::view() const {
  return {input_norm_,
          post_attention_norm_,
          {qkv_.view(), o_.view(), q_norm_, k_norm_},
          {gate_up_.view(), down_.view()}};
}

size_t LayerStorage::size_bytes() const {
  const size_t norms = input_norm_.size() + post_attention_norm_.size() + q_norm_.size() + k_norm_.size();
  return norms * sizeof(float) + qkv_.size_bytes() + o_.size_bytes() + gate_up_.size_bytes() +
         down_.size_bytes();
}

}  // namespace attention
