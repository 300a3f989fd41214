#include "src/qwen3/decoder/weights.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <utility>

#include "src/base/error.h"

namespace attention {
namespace {

// One tensor as it is loaded. A NaN or infinity would make every logit NaN, and NaN compares as the smallest
// of all: without this check such a model generates token 0 for ever.
class TensorReader {
 public:
  TensorReader(const TensorSource& source, std::string name, const std::vector<int64_t>& shape)
      : source_(source), name_(std::move(name)), read_(source.Open(name_, shape)) {}

  // Callable from several threads.
  void operator()(int64_t begin, std::span<float> out) {
    read_(begin, out);
    bool finite = true;
    for (float value : out) finite &= std::abs(value) <= std::numeric_limits<float>::max();
    if (!finite) finite_.store(false, std::memory_order_relaxed);
  }

  // Error (bad usage), naming the tensor, if something that was read is not finite.
  void RequireFinite() const {
    if (!finite_) FailUsage(source_.Where(name_), ": holds NaN or infinity, expected finite weights");
  }

 private:
  const TensorSource& source_;
  std::string name_;
  TensorSource::Reader read_;
  std::atomic<bool> finite_ = true;
};

// Query, key and value rows of the rank's heads, one below the other.
PackedMatrix LoadQkv(const TensorSource& source, const std::string& prefix, const Qwen3Config& config,
                     const HeadShare& heads, DataType type, int threads) {
  const int64_t head_dim = config.head_dim, hidden = config.hidden_size;
  TensorReader q(source, prefix + "q_proj.weight", {config.query_width(), hidden});
  TensorReader k(source, prefix + "k_proj.weight", {config.key_width(), hidden});
  TensorReader v(source, prefix + "v_proj.weight", {config.key_width(), hidden});
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
  for (const TensorReader* read : {&q, &k, &v}) read->RequireFinite();
  return matrix;
}

// The same of the projections' biases.
std::vector<float> LoadQkvBias(const TensorSource& source, const std::string& prefix,
                               const Qwen3Config& config, const HeadShare& heads) {
  std::vector<float> bias;
  const auto append = [&](const char* name, int64_t size, const IndexRange& own) {
    const std::vector<float> whole = LoadVector(source, prefix + name, size);
    bias.insert(bias.end(), whole.begin() + own.begin * config.head_dim,
                whole.begin() + own.end * config.head_dim);
  };
  append("q_proj.bias", config.query_width(), heads.query);
  append("k_proj.bias", config.key_width(), heads.kv);
  append("v_proj.bias", config.key_width(), heads.kv);
  return bias;
}

PackedMatrix LoadGateUp(const TensorSource& source, const std::string& prefix, const Qwen3Config& config,
                        const IndexRange& groups, DataType type, int threads) {
  const int64_t hidden = config.hidden_size, intermediate = config.intermediate_size;
  TensorReader gate(source, prefix + "gate_proj.weight", {intermediate, hidden});
  TensorReader up(source, prefix + "up_proj.weight", {intermediate, hidden});
  PackedMatrix matrix(groups.size() * kPanelOutputs, hidden, type);
  matrix.Fill(
      [&](int64_t output, std::span<float> out) {
        const GateUpRow row = GateUpRowOf(groups.begin * kPanelOutputs + output);
        if (row.intermediate >= intermediate) return std::fill(out.begin(), out.end(), 0.0f);
        (row.is_up ? up : gate)(row.intermediate * hidden, out);
      },
      threads);
  for (const TensorReader* read : {&gate, &up}) read->RequireFinite();
  return matrix;
}

}  // namespace

PackedMatrix LoadMatrix(const TensorSource& source, const MatrixSlice& slice, DataType type, int threads) {
  TensorReader read(source, slice.name, {slice.rows, slice.columns});
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
  read.RequireFinite();
  return matrix;
}

std::vector<float> LoadVector(const TensorSource& source, const std::string& name, int64_t size) {
  std::vector<float> values(static_cast<size_t>(size));
  TensorReader read(source, name, {size});
  read(0, values);
  read.RequireFinite();
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
  for (const NamedShape& tensor : ModelTensors(config, extent)) (void)source.Open(tensor.name, tensor.shape);
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
  if (config.attention_bias) {
    qkv_bias_ = LoadQkvBias(source, attention, config, share.heads);
    o_bias_ = LoadVector(source, attention + "o_proj.bias", hidden);
  }
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
          {qkv_.view(), o_.view(), q_norm_, k_norm_, qkv_bias_, o_bias_},
          {gate_up_.view(), down_.view()}};
}

size_t LayerStorage::size_bytes() const {
  const size_t vectors = input_norm_.size() + post_attention_norm_.size() + q_norm_.size() + k_norm_.size() +
                         qkv_bias_.size() + o_bias_.size();
  return vectors * sizeof(float) + qkv_.size_bytes() + o_.size_bytes() + gate_up_.size_bytes() +
         down_.size_bytes();
}

}  // namespace attention
