#include "src/qwen3/decoder/decoder_reference.h"

#include <mpi.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "src/base/error.h"

namespace attention {
namespace {

// Eight doubles; the compiler uses what each clone's target has.
typedef double Vector __attribute__((vector_size(64), aligned(8), may_alias));
constexpr int64_t kLanes = 8;
constexpr int kTile = 4;

#ifdef __clang__
// GCC asks for this spelling.
#pragma clang diagnostic ignored "-Wtarget-clones-mixed-specifiers"
#endif

// Sums of products of kTile rows with kTile rows.
__attribute__((target_clones("avx512f", "avx2,fma", "default"))) void DotTile(
    const std::array<const double*, kTile>& a, const std::array<const double*, kTile>& b, int64_t n,
    double* result) {
  Vector sum[kTile][kTile] = {};
  int64_t k = 0;
  for (; k + kLanes <= n; k += kLanes) {
    for (int j = 0; j < kTile; ++j) {
      const Vector w = *reinterpret_cast<const Vector*>(b[j] + k);
      for (int i = 0; i < kTile; ++i) sum[i][j] += *reinterpret_cast<const Vector*>(a[i] + k) * w;
    }
  }
  for (int i = 0; i < kTile; ++i) {
    for (int j = 0; j < kTile; ++j) {
      double total = 0;
      for (int64_t lane = 0; lane < kLanes; ++lane) total += sum[i][j][lane];
      for (int64_t rest = k; rest < n; ++rest) total += a[i][rest] * b[j][rest];
      result[i * kTile + j] = total;
    }
  }
}

// y += factor x.
__attribute__((target_clones("avx512f", "avx2,fma", "default"))) void AddScaled(double factor,
                                                                                const double* x, int64_t n,
                                                                                double* y) {
  for (int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

// The keys or values of one KV head of one batch entry: token t at data + t * stride.
struct HeadRows {
  const double* data;
  int64_t stride;
};

// Attention of one head for up to kTile queries, which share the reading of keys and values. visible[i]: keys
// that query i sees; outputs zeroed.
void AttendTile(std::span<const double* const> queries, std::span<const KeyRange> visible,
                const HeadRows& keys, const HeadRows& values, int64_t head_dim,
                std::span<double* const> outputs) {
  const int64_t most = std::ranges::max(visible, {}, &KeyRange::end).end,
                padded = (most + kTile - 1) / kTile * kTile;
  std::vector<double> weights(static_cast<size_t>(kTile * padded));
  std::array<const double*, kTile> q, k;
  for (size_t i = 0; i < kTile; ++i) q[i] = queries[std::min(i, queries.size() - 1)];
  for (int64_t t = 0; t < most; t += kTile) {
    for (int64_t j = 0; j < kTile; ++j) k[j] = keys.data + std::min(t + j, most - 1) * keys.stride;
    double logits[kTile * kTile];
    DotTile(q, k, head_dim, logits);
    for (int64_t i = 0; i < kTile; ++i) std::copy_n(logits + i * kTile, kTile, &weights[i * padded + t]);
  }
  const double scale = 1 / std::sqrt(static_cast<double>(head_dim));
  for (size_t i = 0; i < queries.size(); ++i) {
    const std::span<double> row(&weights[i * static_cast<size_t>(padded) + visible[i].begin],
                                static_cast<size_t>(visible[i].size()));
    const double largest = *std::ranges::max_element(row);
    double sum = 0;
    for (double& weight : row) sum += weight = std::exp((weight - largest) * scale);
    for (double& weight : row) weight /= sum;
  }
  for (int64_t t = 0; t < most; ++t) {
    for (size_t i = 0; i < queries.size(); ++i) {
      if (t < visible[i].begin || t >= visible[i].end) continue;
      AddScaled(weights[i * static_cast<size_t>(padded) + t], values.data + t * values.stride, head_dim,
                outputs[i]);
    }
  }
}

double Dot(const double* a, const double* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

std::string LayerPrefix(int64_t layer) { return "model.layers." + std::to_string(layer) + "."; }

// Angle per position of pair i, from the definitions and not from RotaryFrequencies, which is what is
// checked. YaRN: t(i) turns of pair i within the original length; the ramp runs in the logarithm of t, which
// is linear in i, from the pair of beta_fast turns to that of beta_slow turns (rounded outwards to whole
// pairs).
double Frequency(const Qwen3Config& config, int64_t i) {
  const RotaryScaling& scaling = config.rope_scaling;
  const double pairs = static_cast<double>(config.head_dim) / 2, pair = static_cast<double>(i);
  const double plain = 1 / std::pow(config.rope_theta, pair / pairs);
  if (scaling.kind == RotaryScalingKind::kDefault) return plain;
  if (scaling.kind == RotaryScalingKind::kLinear) return plain / scaling.factor;
  const double turns_of_first = scaling.original_positions / (2 * std::acos(-1.0));
  const auto pair_with = [&](double turns) {
    return pairs * std::log(turns_of_first / turns) / std::log(config.rope_theta);
  };
  double first = pair_with(scaling.beta_fast), last = pair_with(scaling.beta_slow);
  if (scaling.truncate) {
    first = std::floor(first);
    last = std::ceil(last);
  }
  first = std::max(first, 0.0);
  last = std::min(last, 2 * pairs - 1);
  if (pair <= first) return plain;
  if (pair >= last) return plain / scaling.factor;
  const double ramp = (pair - first) / (last - first);
  return plain * (1 - ramp + ramp / scaling.factor);
}

double Rounded(double value, DataType type) {
  return type == DataType::kBfloat16 ? Bfloat16::FromFloat(static_cast<float>(value)).ToFloat() : value;
}

void Round(std::vector<double>& values, DataType type) {
  if (type == DataType::kFloat32) return;
  for (double& value : values) value = Rounded(value, type);
}

// Each row to whole multiples of a float32 scale, a 127th of its largest element. As the definition in
// src/base/int8_row.h has it, in float64: where the decoder's float32 comes out on the other side of a half,
// one element is a step away.
void RoundRowsToInt8(std::vector<double>& values, int64_t row) {
  for (auto begin = values.begin(); begin != values.end(); begin += row) {
    double largest = 0;
    for (auto value = begin; value != begin + row; ++value) largest = std::max(largest, std::abs(*value));
    const double scale = static_cast<float>(largest / 127);
    if (scale == 0) {
      std::fill(begin, begin + row, 0.0);
      continue;
    }
    for (auto value = begin; value != begin + row; ++value) *value = std::nearbyint(*value / scale) * scale;
  }
}

int64_t Padded(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

void ReadWeights(const TensorSource::Reader& read, int64_t begin, DataType type, std::span<float> scratch,
                 double* out) {
  read(begin, scratch);
  for (size_t i = 0; i < scratch.size(); ++i) {
    out[i] = type == DataType::kBfloat16 ? Bfloat16::FromFloat(scratch[i]).ToFloat() : scratch[i];
  }
}

}  // namespace

DecoderReference::DecoderReference(const Communicator& communicator, const ReferenceSetup& setup)
    : communicator_(&communicator), setup_(setup), own_(TokensOf(communicator.rank())) {
  if (!setup_.cached) return;
  const SyntheticCache& cached = *setup_.cached;
  Require(cached.tokens < setup_.tokens && cached.batch == setup_.batch &&
              cached.kv_heads == setup_.config.kv_heads && cached.head_dim == setup_.config.head_dim,
          "reference: the cache is not of this batch and shape");
}

IndexRange DecoderReference::TokensOf(int rank) const {
  const int64_t first = cached_tokens();
  const IndexRange range = BalancedRange(setup_.tokens - first, communicator_->size(), rank);
  return {first + range.begin, first + range.end};
}

std::vector<double> DecoderReference::MultiplyPart(const std::string& name, const std::vector<double>& rows,
                                                   int64_t columns, int64_t outputs,
                                                   const IndexRange& part) const {
  const TensorSource::Reader read = setup_.source->Open(name, {outputs, columns});
  const int64_t count = static_cast<int64_t>(rows.size()) / columns, padded = Padded(columns);
  const int64_t row_tiles = (count + kTile - 1) / kTile, width = part.size();
  std::vector<double> x(static_cast<size_t>(row_tiles * kTile * padded), 0.0);
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t i = 0; i < columns; ++i) {
      x[r * padded + i] = Rounded(rows[r * columns + i], setup_.precision.activations);
    }
  }
  std::vector<double> result(static_cast<size_t>(count * width));
#pragma omp parallel num_threads(setup_.threads)
  {
    std::vector<double> weights(static_cast<size_t>(kTile * padded), 0.0);
    std::vector<float> scratch(static_cast<size_t>(columns));
#pragma omp for schedule(dynamic, 8)
    for (int64_t first = 0; first < width; first += kTile) {
      const int64_t outputs_here = std::min<int64_t>(kTile, width - first);
      std::array<const double*, kTile> w, a;
      for (int64_t j = 0; j < kTile; ++j) {
        w[j] = &weights[j * padded];
        if (j < outputs_here) {
          ReadWeights(read, (part.begin + first + j) * columns, setup_.weight_type, scratch,
                      &weights[j * padded]);
        }
      }
      for (int64_t tile = 0; tile < row_tiles; ++tile) {
        for (int64_t i = 0; i < kTile; ++i) a[i] = &x[(tile * kTile + i) * padded];
        double products[kTile * kTile];
        DotTile(a, w, padded, products);
        for (int64_t i = 0; i < kTile && tile * kTile + i < count; ++i) {
          std::copy_n(products + i * kTile, outputs_here, &result[(tile * kTile + i) * width + first]);
        }
      }
    }
  }
  return result;
}

std::vector<double> DecoderReference::Multiply(const std::string& name, const std::vector<double>& rows,
                                               int64_t columns, int64_t outputs) const {
  return MultiplyPart(name, rows, columns, outputs, {0, outputs});
}

std::vector<double> DecoderReference::Project(const std::string& name, const std::vector<double>& rows,
                                              int64_t columns, int64_t outputs) const {
  std::vector<double> result = Multiply(name + ".weight", rows, columns, outputs);
  if (!setup_.config.attention_bias) return result;
  std::vector<float> bias(static_cast<size_t>(outputs));
  setup_.source->Open(name + ".bias", {outputs})(0, bias);
  for (size_t i = 0; i < result.size(); ++i) result[i] += bias[i % bias.size()];
  return result;
}

std::vector<double> DecoderReference::Norm(const std::string& name, const std::vector<double>& rows,
                                           int64_t width) const {
  std::vector<float> weight(static_cast<size_t>(width));
  setup_.source->Open(name, {width})(0, weight);
  std::vector<double> result = rows;
  for (size_t begin = 0; begin < rows.size(); begin += static_cast<size_t>(width)) {
    const double* row = &rows[begin];
    const double scale =
        1 / std::sqrt(Dot(row, row, width) / static_cast<double>(width) + setup_.config.rms_norm_epsilon);
    for (int64_t i = 0; i < width; ++i) result[begin + i] = row[i] * scale * weight[i];
  }
  return result;
}

void DecoderReference::NormAndRotate(const std::string& name, std::vector<double>& heads, int64_t head_count,
                                     std::span<const int64_t> positions) const {
  const int64_t head_dim = setup_.config.head_dim, half = head_dim / 2;
  heads = Norm(name, heads, head_dim);
  const int64_t rows = static_cast<int64_t>(heads.size()) / (head_count * head_dim);
  for (int64_t row = 0; row < rows; ++row) {
    const double position = static_cast<double>(positions[row % static_cast<int64_t>(positions.size())]);
    for (int64_t i = 0; i < half; ++i) {
      const double angle = position * Frequency(setup_.config, i);
      const double magnitude = setup_.config.rope_scaling.magnitude;
      const double c = std::cos(angle) * magnitude, s = std::sin(angle) * magnitude;
      for (int64_t head = 0; head < head_count; ++head) {
        double* x = &heads[(row * head_count + head) * head_dim];
        const double first = x[i], second = x[half + i];
        x[i] = first * c - second * s;
        x[half + i] = second * c + first * s;
      }
    }
  }
}

void DecoderReference::FillCached(SyntheticCache::Part part, int64_t layer, std::vector<double>& all) const {
  const SyntheticCache& cached = *setup_.cached;
  const size_t head_dim = static_cast<size_t>(cached.head_dim);
#pragma omp parallel num_threads(setup_.threads)
  {
    std::vector<float> row(head_dim);
#pragma omp for collapse(3)
    for (int64_t b = 0; b < cached.batch; ++b) {
      for (int64_t token = 0; token < cached.tokens; ++token) {
        for (int64_t head = 0; head < cached.kv_heads; ++head) {
          cached.FillRow(part, {layer, b, head, token}, row);
          const int64_t place = (b * setup_.tokens + token) * cached.kv_heads + head;
          std::ranges::copy(row, &all[static_cast<size_t>(place) * head_dim]);
        }
      }
    }
  }
}

std::vector<double> DecoderReference::GatherAll(SyntheticCache::Part part, int64_t layer,
                                                const std::vector<double>& own) const {
  const int64_t own_rows = own_.size(), width = setup_.config.key_width();
  std::vector<double> all(static_cast<size_t>(setup_.batch * setup_.tokens * width));
  if (setup_.cached) FillCached(part, layer, all);
  for (int64_t b = 0; b < setup_.batch; ++b) {
    double* entry = &all[b * setup_.tokens * width];
    if (own_rows > 0) std::copy_n(&own[b * own_rows * width], own_rows * width, entry + own_.begin * width);
    for (int root = 0; root < communicator_->size(); ++root) {
      const IndexRange range = TokensOf(root);
      const int64_t count = range.size() * width;
      Require(count < (int64_t{1} << 31), "reference: ", count,
              " values of one rank are too many for a broadcast");
      MPI_Bcast(entry + range.begin * width, static_cast<int>(count), MPI_DOUBLE, root,
                communicator_->handle());
    }
  }
  if (setup_.precision.kv_cache == DataType::kInt8) {
    RoundRowsToInt8(all, setup_.config.head_dim);
  } else {
    Round(all, setup_.precision.kv_cache);
  }
  return all;
}

std::vector<int64_t> DecoderReference::OwnOf(std::span<const int64_t> positions) const {
  std::vector<int64_t> own;
  for (int64_t position : positions) {
    if (position >= own_.begin && position < own_.end) own.push_back(position);
  }
  return own;
}

std::vector<int64_t> DecoderReference::AllOwn() const {
  std::vector<int64_t> positions;
  for (int64_t position = own_.begin; position < own_.end; ++position) positions.push_back(position);
  return positions;
}

std::vector<double> DecoderReference::SelectRows(const std::vector<double>& hidden,
                                                 std::span<const int64_t> positions) const {
  const int64_t width = setup_.config.hidden_size;
  std::vector<double> rows;
  for (int64_t b = 0; b < setup_.batch; ++b) {
    for (int64_t position : positions) {
      const auto begin = hidden.begin() + (b * own_.size() + position - own_.begin) * width;
      rows.insert(rows.end(), begin, begin + width);
    }
  }
  return rows;
}

Mask DecoderReference::MaskOf(int64_t layer) const {
  const Qwen3Config& config = setup_.config;
  return config.layer_type(layer) == LayerType::kFullAttention ? setup_.mask
                                                               : Mask::Window(config.sliding_window);
}

std::vector<double> DecoderReference::Block(int64_t layer, const std::vector<double>& hidden,
                                            std::span<const int64_t> wanted) const {
  const Qwen3Config& config = setup_.config;
  const int64_t width = config.hidden_size, head_dim = config.head_dim,
                group = config.query_heads / config.kv_heads;
  const std::string attention = LayerPrefix(layer) + "self_attn.";
  std::vector<double> keys = Project(attention + "k_proj", hidden, width, config.key_width());
  NormAndRotate(attention + "k_norm.weight", keys, config.kv_heads, AllOwn());
  keys = GatherAll(SyntheticCache::Part::kKeys, layer, keys);
  const std::vector<double> values = GatherAll(
      SyntheticCache::Part::kValues, layer, Project(attention + "v_proj", hidden, width, config.key_width()));
  const std::vector<int64_t> own = OwnOf(wanted);
  std::vector<double> queries =
      Project(attention + "q_proj", SelectRows(hidden, own), width, config.query_width());
  NormAndRotate(attention + "q_norm.weight", queries, config.query_heads, own);
  Round(queries, setup_.precision.queries());

  const Mask mask = MaskOf(layer);
  const int64_t own_count = static_cast<int64_t>(own.size());
  std::vector<double> mixed(queries.size(), 0.0);
  const int64_t tiles = (own_count + kTile - 1) / kTile;
#pragma omp parallel for collapse(3) num_threads(setup_.threads) schedule(dynamic)
  for (int64_t b = 0; b < setup_.batch; ++b) {
    for (int64_t head = 0; head < config.query_heads; ++head) {
      for (int64_t tile = 0; tile < tiles; ++tile) {
        const int64_t first = b * setup_.tokens * config.key_width() + head / group * head_dim;
        std::vector<const double*> tile_queries;
        std::vector<double*> outputs;
        std::vector<KeyRange> visible;
        for (int64_t i = tile * kTile; i < std::min(own_count, (tile + 1) * kTile); ++i) {
          const int64_t offset = ((b * own_count + i) * config.query_heads + head) * head_dim;
          tile_queries.push_back(&queries[offset]);
          outputs.push_back(&mixed[offset]);
          visible.push_back(mask.VisibleToAny(own[i], own[i], 0, setup_.tokens));
        }
        AttendTile(tile_queries, visible, {&keys[first], config.key_width()},
                   {&values[first], config.key_width()}, head_dim, outputs);
      }
    }
  }
  return Project(attention + "o_proj", mixed, config.query_width(), width);
}

std::vector<double> DecoderReference::Layer(int64_t layer, const std::vector<double>& hidden,
                                            std::span<const int64_t> wanted) const {
  const Qwen3Config& config = setup_.config;
  const int64_t width = config.hidden_size, intermediate = config.intermediate_size;
  const std::string prefix = LayerPrefix(layer);
  std::vector<double> result = SelectRows(hidden, OwnOf(wanted));
  const auto add = [&](const std::vector<double>& part) {
    for (size_t i = 0; i < result.size(); ++i) result[i] += part[i];
  };
  add(Block(layer, Norm(prefix + "input_layernorm.weight", hidden, width), wanted));
  const std::vector<double> normed = Norm(prefix + "post_attention_layernorm.weight", result, width);
  std::vector<double> gate = Multiply(prefix + "mlp.gate_proj.weight", normed, width, intermediate);
  const std::vector<double> up = Multiply(prefix + "mlp.up_proj.weight", normed, width, intermediate);
#pragma omp parallel for num_threads(setup_.threads)
  for (size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
  add(Multiply(prefix + "mlp.down_proj.weight", gate, intermediate, width));
  return result;
}

std::vector<double> DecoderReference::LastTokenLogits(std::span<const int64_t> ids) const {
  const Qwen3Config& config = setup_.config;
  const int64_t width = config.hidden_size, vocabulary = config.vocabulary_size;
  const TensorSource::Reader embedding =
      setup_.source->Open("model.embed_tokens.weight", {vocabulary, width});
  std::vector<double> hidden(static_cast<size_t>(setup_.batch * own_.size() * width));
  std::vector<float> scratch(static_cast<size_t>(width));
  for (int64_t row = 0; row < setup_.batch * own_.size(); ++row) {
    const int64_t position = row / own_.size() * setup_.tokens + own_.begin + row % own_.size();
    ReadWeights(embedding, ids[position] * width, setup_.weight_type, scratch, &hidden[row * width]);
  }
  const std::vector<int64_t> last = {setup_.tokens - 1}, all = AllOwn();
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    const bool is_last = layer + 1 == config.layers;
    hidden = Layer(layer, hidden, is_last ? last : all);
  }
  // Now [batch, 1 or 0 rows, hidden]; the owner of the last token tells the others.
  hidden.resize(static_cast<size_t>(setup_.batch * width));
  int owner = 0;
  for (int r = 0; r < communicator_->size(); ++r) {
    if (TokensOf(r).size() > 0) owner = r;
  }
  MPI_Bcast(hidden.data(), static_cast<int>(hidden.size()), MPI_DOUBLE, owner, communicator_->handle());
  const std::string head = config.tied_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
  const IndexRange part = BalancedRange(vocabulary, communicator_->size(), communicator_->rank());
  const std::vector<double> own =
      MultiplyPart(head, Norm("model.norm.weight", hidden, width), width, vocabulary, part);
  std::vector<double> logits(static_cast<size_t>(setup_.batch * vocabulary), 0.0);
  for (int64_t b = 0; b < setup_.batch; ++b) {
    std::copy_n(own.data() + b * part.size(), part.size(), &logits[b * vocabulary + part.begin]);
  }
  // Zero on the other ranks: the sum is exact.
  MPI_Allreduce(MPI_IN_PLACE, logits.data(), static_cast<int>(logits.size()), MPI_DOUBLE, MPI_SUM,
                communicator_->handle());
  return logits;
}

}  // namespace attention
