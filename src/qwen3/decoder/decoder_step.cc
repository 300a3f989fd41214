#include "src/qwen3/decoder/decoder_step.h"

#include <algorithm>

#include "src/base/error.h"
#include "src/parallel/make_distributed_attention.h"
#include "src/qwen3/decoder/window_cache.h"

namespace attention {
namespace {

std::unique_ptr<DistributedAttention> MakeAttention(Communicator& communicator, const Qwen3Config& config,
                                                    const Variant& asked, const ExecutionOptions& options,
                                                    const StepShape& shape,
                                                    const DecoderPrecision& precision) {
  AttentionProblem problem;
  problem.data_type = precision.queries();
  if (shape.phase == Phase::kDecode) problem.kept_key_values = precision.kv_cache;
  problem.batch = shape.batch;
  problem.query_heads = config.query_heads;
  problem.kv_heads = config.kv_heads;
  problem.head_dim = config.head_dim;
  problem.query_tokens = shape.query_tokens;
  problem.kv_tokens = shape.kv_tokens;
  problem.mask = shape.mask;
  problem.phase = shape.phase;
  return MakeDistributedAttention(communicator, problem, VariantInsideDecoder(asked, shape.phase),
                                  Contract::kNative, options);
}

// What layers that slide see of a step.
StepShape SlidingShape(const Qwen3Config& config, Sharding sharding, StepShape shape) {
  const bool is_prefill = shape.phase == Phase::kPrefill;
  Require(shape.mask == Mask::Causal() && (is_prefill || shape.query_tokens == 1),
          "layers that slide have mask causal, and decode one token at a time");
  Require(!is_prefill || sharding != Sharding::kBalanced,
          "sharding balanced would deal layers that slide otherwise than the others");
  if (is_prefill) {
    shape.mask = Mask::Window(config.sliding_window);
  } else {
    shape.kv_tokens = std::min(shape.kv_tokens, config.sliding_window);
  }
  return shape;
}

AlignedBuffer Floats(int64_t rows, int64_t columns) {
  return AlignedBuffer(static_cast<size_t>(
      CheckedProduct(CheckedProduct(rows, columns, "activations"), sizeof(float), "activations")));
}

}  // namespace

Variant VariantInsideDecoder(const Variant& asked, Phase phase) {
  Variant inside = asked;
  if (asked.strategy == ParallelStrategy::kHeadwise) {
    inside.exchange = Exchange::kNone;
    inside.sharding = Sharding::kContiguous;
  } else if (phase == Phase::kDecode) {
    inside.exchange = Exchange::kAllToAll;
    inside.sharding = Sharding::kContiguous;
    inside.algorithm = AttentionAlgorithm::kOnlineSoftmax;
  }
  return inside;
}

int64_t CacheTokens(ParallelStrategy strategy, int64_t kv_tokens, int64_t ranks) {
  if (strategy == ParallelStrategy::kHeadwise) return kv_tokens;
  // A zigzag share is two of 2P chunks, each at most rounded up; a causal balanced one is within a token too.
  return kv_tokens / ranks + 2;
}

DecoderStep::DecoderStep(Communicator& communicator, const Qwen3Config& config, const Variant& asked,
                         const ExecutionOptions& options, const RotaryTable& rotary, const StepShape& shape,
                         const DecoderPrecision& precision)
    : communicator_(&communicator),
      config_(config),
      shape_(shape),
      options_(options),
      precision_(precision),
      full_{MakeAttention(communicator, config, asked, options, shape, precision)},
      sliding_{!config.slides() ? nullptr
                                : MakeAttention(communicator, config, asked, options,
                                                SlidingShape(config, asked.sharding, shape), precision)},
      slices_weights_(asked.strategy == ParallelStrategy::kSequence && shape.phase == Phase::kDecode),
      sums_over_ranks_(communicator.size() > 1 &&
                       (asked.strategy == ParallelStrategy::kHeadwise || shape.phase == Phase::kDecode)),
      tokens_(full_.attention->query_shard().segments),
      local_tokens_(TokenCount(tokens_)),
      rows_(shape.batch * local_tokens_),
      qkv_row_{full_.attention->query_shard().head_count, full_.attention->key_value_shard().head_count, 0},
      gate_groups_(0),
      row_work_(config, options.isa, options.threads, rotary),
      linear_(options.isa, options.threads, rows_,
              std::max({config.hidden_size, config.query_width(),
                        GateGroups(config.intermediate_size) * kGateGroup}),
              precision.activations),
      sum_(communicator, sums_over_ranks_ ? rows_ * config.hidden_size : 0) {
  const int64_t ranks = communicator.size(), rank = communicator.rank();
  Require(rotary.half() * 2 == config.head_dim && rotary.positions() >= shape.kv_tokens, "rotary angles for ",
          rotary.positions(), " positions of head_dim ", rotary.half() * 2, ", needed ", shape.kv_tokens,
          " of ", config.head_dim);
  Require(!slices_weights_ || shape.query_tokens == 1,
          "a token-sharded cache decodes one token at a time, not ", shape.query_tokens);
  qkv_row_.width = (qkv_row_.query_heads + 2 * qkv_row_.kv_heads) * config.head_dim;
  const bool tensor_parallel = asked.strategy == ParallelStrategy::kHeadwise || slices_weights_;
  gate_groups_ =
      (tensor_parallel ? WeightShare::TensorParallel(config, ranks, rank) : WeightShare::Whole(config))
          .gate_groups.size();

  PlaceTokens();
  qkv_ = Floats(rows_, qkv_row_.width);
  if (precision.kv_cache == DataType::kBfloat16) {
    rounded_queries_ = AlignedBuffer(static_cast<size_t>(
        CheckedProduct(CheckedProduct(rows_, qkv_row_.query_heads * config.head_dim, "queries"),
                       sizeof(Bfloat16), "queries")));
  }
  if (precision.kv_cache == DataType::kInt8 && shape.phase == Phase::kPrefill) {
    widened_.emplace(shape.batch, qkv_row_.kv_heads, local_tokens_, config.head_dim);
  }
  mixed_ = Floats(rows_, full_.attention->output_shard().head_count * config.head_dim);
  normed_ = Floats(rows_, config.hidden_size);
  gate_up_ = Floats(rows_, gate_groups_ * kPanelOutputs);
  activated_ = Floats(rows_, gate_groups_ * kGateGroup);
}

void DecoderStep::SetKvTokens(int64_t kv_tokens) {
  Require(sees_all() || kv_tokens == shape_.kv_tokens, "a cache that grows over ranks has mask causal");
  full_.attention->SetKvTokens(kv_tokens);
  if (sliding_.attention) sliding_.attention->SetKvTokens(std::min(kv_tokens, config_.sliding_window));
  shape_.kv_tokens = kv_tokens;
  PlaceTokens();
}

void DecoderStep::PlaceTokens() {
  tokens_ = full_.attention->query_shard().segments;
  // Where cached keys are all visible to a decoded token their order does not matter, only how many each rank
  // has: the balanced share of n + 1 tokens gives one more than that of n to exactly one rank, n % P. Else
  // the token comes last, where the shares say that it is.
  const int64_t last = shape_.kv_tokens - 1;
  const IndexRange share = BalancedRange(shape_.kv_tokens, communicator_->size(), communicator_->rank());
  const bool is_here = sees_all() ? last % communicator_->size() == communicator_->rank()
                                  : share.begin <= last && last < share.end;
  full_.append_count = slices_weights_ ? (is_here ? 1 : 0) : local_tokens_;
  full_.append_begin = full_.cached_tokens() - full_.append_count;
  if (!sliding_.attention) return;
  sliding_.append_count = full_.append_count;
  sliding_.append_begin = full_.append_begin;
  if (shape_.phase == Phase::kPrefill) return;
  const int64_t parts = slices_weights_ ? communicator_->size() : 1;
  const CachePlace place = PlaceInWindow(last, config_.sliding_window, parts);
  sliding_.append_count = place.part == (slices_weights_ ? communicator_->rank() : 0) ? 1 : 0;
  sliding_.append_begin = place.row;
}

DecoderStep::CachedAttention& DecoderStep::AttentionOf(LayerType type) {
  if (type == LayerType::kFullAttention) return full_;
  Require(sliding_.attention != nullptr, "no layer of this model slides");
  return sliding_;
}

IndexRange DecoderStep::cached_tokens() const {
  const int64_t cached = shape_.kv_tokens - shape_.query_tokens;
  if (!slices_weights_) return {0, cached};
  const int size = communicator_->size(), rank = communicator_->rank();
  if (sees_all()) return BalancedRange(cached, size, rank);
  const IndexRange share = BalancedRange(shape_.kv_tokens, size, rank);
  return {share.begin, std::min(share.end, cached)};
}

size_t DecoderStep::workspace_bytes() const {
  size_t bytes = full_.attention->workspace_bytes() +
                 (sliding_.attention ? sliding_.attention->workspace_bytes() : 0) +
                 linear_.workspace_bytes() + sum_.workspace_bytes();
  for (const AlignedBuffer* buffer : {&qkv_, &mixed_, &normed_, &gate_up_, &activated_, &rounded_queries_}) {
    bytes += buffer->size_bytes();
  }
  if (widened_) bytes += widened_->size_bytes();
  return bytes;
}

template <typename T>
TensorView DecoderStep::HeadsOfRows(T* data, int64_t heads, int64_t width) const {
  return {reinterpret_cast<std::byte*>(data),
          sizeof(T) == sizeof(float) ? DataType::kFloat32 : DataType::kBfloat16,
          {shape_.batch, heads, local_tokens_, config_.head_dim},
          local_tokens_ * width,
          config_.head_dim,
          width};
}

TensorView DecoderStep::Queries() {
  if (precision_.queries() == DataType::kFloat32) {
    return HeadsOfRows(qkv_.As<float>().data(), qkv_row_.query_heads, qkv_row_.width);
  }
  return HeadsOfRows(rounded_queries_.As<Bfloat16>().data(), qkv_row_.query_heads,
                     qkv_row_.query_heads * config_.head_dim);
}

void DecoderStep::Norm(const float* x, std::span<const float> weight, int64_t rows, float* y) {
  row_work_.Norm(x, weight, rows, y);
}

void DecoderStep::Project(const AttentionWeights& weights, const float* x) {
  const Rows qkv{qkv_.As<float>().data(), rows_, qkv_row_.width};
  const ConstRows input{x, rows_, config_.hidden_size};
  if (!slices_weights_) return linear_.Run(input, weights.qkv, Store::kOverwrite, qkv);
  // Every rank needs every head of the one token: each makes some panels of the projection.
  const auto panels = [&](int rank) {
    return BalancedRange(weights.qkv.panels(), communicator_->size(), rank);
  };
  const IndexRange own = panels(communicator_->rank());
  linear_.Run(input, weights.qkv.SlicePanels(own.begin, own.size()), Store::kOverwrite,
              {qkv.data + own.begin * kPanelOutputs, rows_, qkv.stride});
  GatherColumns(*communicator_, qkv, [&](int rank) {
    const IndexRange range = panels(rank);
    return IndexRange{std::min(range.begin * kPanelOutputs, qkv.stride),
                      std::min(range.end * kPanelOutputs, qkv.stride)};
  });
}

ProjectedRows DecoderStep::Projected() {
  return {qkv_.As<float>().data(),
          shape_.batch,
          &tokens_,
          qkv_row_.query_heads,
          qkv_row_.kv_heads,
          qkv_row_.width,
          precision_.kv_cache == DataType::kBfloat16 ? rounded_queries_.As<Bfloat16>().data() : nullptr};
}

void DecoderStep::ProjectToHidden(const ConstRows& x, const PackedMatrixView& weights, Store store,
                                  float* output) {
  // The residual is in the sum once: rank 0 adds to it, the others replace it by their part.
  const bool adds = store == Store::kAdd && (!sums_over_ranks_ || communicator_->rank() == 0);
  linear_.Run(x, weights, adds ? Store::kAdd : Store::kOverwrite, {output, rows_, config_.hidden_size});
  if (sums_over_ranks_) sum_.Run(output, rows_ * config_.hidden_size);
}

void DecoderStep::Attention(const AttentionWeights& weights, const float* x, KeyValueCache& cache,
                            Store store, float* output, LayerType type) {
  const CachedAttention& seen = AttentionOf(type);
  const int64_t cached = seen.cached_tokens();
  Require(cached <= cache.capacity(), "KV cache: ", cached, " tokens, room for ", cache.capacity());
  Require(cache.data_type() == precision_.kv_cache, "KV cache: of ", Name(cache.data_type()),
          ", the step of ", Name(precision_.kv_cache));
  Project(weights, x);
  row_work_.AddBias(weights.qkv_bias, rows_, qkv_.As<float>().data());
  KeptTokens kept;
  if (seen.append_count > 0) kept = {&cache, widened_ ? &*widened_ : nullptr, seen.append_begin};
  row_work_.NormAndRotate(weights, Projected(), kept);
  const int64_t heads = seen.attention->output_shard().head_count;
  float* mixed = mixed_.As<float>().data();
  KeyValueCache& read = widened_ ? *widened_ : cache;
  seen.attention->Run(Queries(), read.keys().SliceTokens(0, cached), read.values().SliceTokens(0, cached),
                      HeadsOfRows(mixed, heads, heads * config_.head_dim));
  ProjectHeads(weights, mixed, store, output);
}

void DecoderStep::ProjectHeads(const AttentionWeights& weights, const float* mixed, Store store,
                               float* output) {
  const TensorShard& shard = full_.attention->output_shard();
  const int64_t width = shard.head_count * config_.head_dim;
  // Weights are the whole model's or, tensor-parallel, those of the rank's heads.
  const PackedMatrixView own =
      slices_weights_ ? weights.o.SliceInputs(shard.head_begin * config_.head_dim, width) : weights.o;
  ProjectToHidden({mixed, rows_, width}, own, store, output);
  // After the sum over ranks, in which it would be once per rank.
  row_work_.AddBias(weights.o_bias, rows_, output);
}

void DecoderStep::Mlp(const MlpWeights& weights, const float* x, Store store, float* output) {
  MlpWeights part = weights;
  if (slices_weights_) {
    const IndexRange own =
        BalancedRange(weights.gate_up.panels(), communicator_->size(), communicator_->rank());
    part.gate_up = weights.gate_up.SlicePanels(own.begin, own.size());
    part.down = weights.down.SliceInputs(own.begin * kGateGroup, own.size() * kGateGroup);
  }
  const Rows gate_up{gate_up_.As<float>().data(), rows_, gate_groups_ * kPanelOutputs};
  const Rows activated{activated_.As<float>().data(), rows_, gate_groups_ * kGateGroup};
  linear_.Run({x, rows_, config_.hidden_size}, part.gate_up, Store::kOverwrite, gate_up);
  row_work_.Activate(gate_up, gate_groups_, activated);
  ProjectToHidden(activated, part.down, store, output);
}

void DecoderStep::Layer(const LayerWeights& weights, KeyValueCache& cache, float* hidden, LayerType type) {
  float* normed = normed_.As<float>().data();
  Norm(hidden, weights.input_norm, rows_, normed);
  Attention(weights.attention, normed, cache, Store::kAdd, hidden, type);
  Norm(hidden, weights.post_attention_norm, rows_, normed);
  Mlp(weights.mlp, normed, Store::kAdd, hidden);
}

}  // namespace attention
