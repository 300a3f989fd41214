#include "src/legacy/qwen3_attention.h"

#include <omp.h>

#include <map>
#include <span>
#include <string>
#include <utility>

#include "src/base/error.h"
#include "src/kernels/attention_kernel.h"
#include "src/mpi/agreement.h"
#include "src/mpi/communicator.h"
#include "src/qwen3/checkpoint/tensor_source.h"
#include "src/qwen3/decoder/decoder_step.h"
#include "src/qwen3/decoder/key_value_cache.h"
#include "src/qwen3/decoder/rank_collectives.h"
#include "src/qwen3/decoder/weights.h"

namespace attention {
namespace {

// What the interface takes, by name.
struct BlockArguments {
  const Tensor& hidden_states;
  int64_t query_heads, kv_heads, head_dim;
  const Tensor& qkv_projs;
  const Tensor& o_proj;
  const Tensor& q_norm_weight;
  const Tensor& k_norm_weight;
  const Tensor& cos;
  const Tensor& sin;
  ParallelStrategy strategy;
  AttentionAlgorithm algorithm;
};

// Tensors that lie in the caller's memory.
class MemorySource : public TensorSource {
 public:
  void Add(const std::string& name, std::span<const float> values) { tensors_[name] = values; }

  Reader Open(const std::string& name, const std::vector<int64_t>& shape) const override {
    const auto found = tensors_.find(name);
    Require(found != tensors_.end(), "tensor '", name, "' is missing");
    int64_t elements = 1;
    for (int64_t size : shape) elements = CheckedProduct(elements, size, name.c_str());
    Require(elements == static_cast<int64_t>(found->second.size()), name, ": ", found->second.size(),
            " values, expected ", elements);
    return [values = found->second](int64_t begin, std::span<float> out) {
      std::ranges::copy(values.subspan(static_cast<size_t>(begin), out.size()), out.begin());
    };
  }

 private:
  std::map<std::string, std::span<const float>> tensors_;
};

void RequireShape(const char* name, const Tensor& tensor, const std::vector<int64_t>& expected) {
  int64_t elements = 1;
  for (int64_t size : tensor.shape) elements = CheckedProduct(elements, size, name);
  Require(tensor.shape == expected && elements == static_cast<int64_t>(tensor.values.size()), name,
          ": its shape or number of values is not what hidden_states and the head counts ask for");
}

// Leading dimensions of 1 are allowed.
void RequireAngles(const char* name, const Tensor& tensor, int64_t tokens, int64_t head_dim) {
  Tensor squeezed = tensor;
  while (squeezed.shape.size() > 2 && squeezed.shape.front() == 1)
    squeezed.shape.erase(squeezed.shape.begin());
  RequireShape(name, squeezed, {tokens, head_dim});
}

Qwen3Config CheckedConfig(const BlockArguments& arguments) {
  const std::vector<int64_t>& shape = arguments.hidden_states.shape;
  Require(shape.size() == 3 && shape[0] >= 1 && shape[1] >= 1,
          "hidden_states: expected [batch, tokens, hidden], none of them 0");
  Qwen3Config config;
  config.hidden_size = shape[2];
  config.layers = 1;
  config.query_heads = arguments.query_heads;
  config.kv_heads = arguments.kv_heads;
  config.head_dim = arguments.head_dim;
  config.Check("qwen3_attention");
  RequireShape("hidden_states", arguments.hidden_states, shape);
  RequireShape("qkv_projs", arguments.qkv_projs, {config.query_width() + 2 * config.key_width(), shape[2]});
  RequireShape("o_proj", arguments.o_proj, {shape[2], config.query_width()});
  RequireShape("q_norm_weight", arguments.q_norm_weight, {config.head_dim});
  RequireShape("k_norm_weight", arguments.k_norm_weight, {config.head_dim});
  RequireAngles("cos", arguments.cos, shape[1], config.head_dim);
  RequireAngles("sin", arguments.sin, shape[1], config.head_dim);
  return config;
}

MemorySource SourceOf(const BlockArguments& arguments, const Qwen3Config& config) {
  const std::span<const float> qkv = arguments.qkv_projs.values;
  const size_t query = static_cast<size_t>(config.query_width() * config.hidden_size);
  const size_t key = static_cast<size_t>(config.key_width() * config.hidden_size);
  MemorySource source;
  source.Add("self_attn.q_proj.weight", qkv.first(query));
  source.Add("self_attn.k_proj.weight", qkv.subspan(query, key));
  source.Add("self_attn.v_proj.weight", qkv.subspan(query + key, key));
  source.Add("self_attn.o_proj.weight", arguments.o_proj.values);
  source.Add("self_attn.q_norm.weight", arguments.q_norm_weight.values);
  source.Add("self_attn.k_norm.weight", arguments.k_norm_weight.values);
  return source;
}

Tensor RunBlock(const BlockArguments& arguments, MPI_Comm comm, Isa isa) {
  Communicator communicator(comm);
  Qwen3Config config;
  AgreeOnErrors(communicator, [&] { config = CheckedConfig(arguments); });
  const int64_t batch = arguments.hidden_states.shape[0], tokens = arguments.hidden_states.shape[1];
  const int threads = omp_get_max_threads();
  Variant variant;
  variant.strategy = arguments.strategy;
  variant.algorithm = arguments.algorithm;
  variant.exchange = DefaultExchange(variant.strategy, variant.algorithm, Contract::kNative, Phase::kPrefill);
  variant.sharding = DefaultSharding(variant.strategy, Phase::kPrefill, Mask::Causal());
  const RotaryTable rotary(arguments.cos.values, arguments.sin.values, config.head_dim);
  DecoderStep step(communicator, config, variant, {isa, threads, MakeAttentionKernel, true}, rotary,
                   {batch, tokens, tokens, Phase::kPrefill, Mask::Causal()});
  const WeightShare share = StoredWeights(config, variant.strategy, communicator.size(), communicator.rank());
  const LayerStorage storage(SourceOf(arguments, config), "", config, share, DataType::kFloat32, threads);
  KeyValueCache cache(batch, share.heads.kv.size(),
                      CacheTokens(variant.strategy, tokens, communicator.size()), config.head_dim);

  Tensor result{arguments.hidden_states.shape, {}};
  if (variant.strategy == ParallelStrategy::kHeadwise) {
    result.values.resize(arguments.hidden_states.values.size());
    step.Attention(storage.view().attention, arguments.hidden_states.values.data(), cache, Store::kOverwrite,
                   result.values.data());
    return result;
  }
  const std::vector<float> own = ShareOfRows({batch, tokens, config.hidden_size, variant.sharding},
                                             step.tokens(), arguments.hidden_states.values);
  std::vector<float> output(own.size());
  step.Attention(storage.view().attention, own.data(), cache, Store::kOverwrite, output.data());
  result.values.resize(arguments.hidden_states.values.size());
  GatherTokens(communicator, {batch, tokens, config.hidden_size, variant.sharding}, output.data(),
               result.values.data());
  return result;
}

}  // namespace

Tensor qwen3_attention_mpi_omp(const Tensor& hidden_states, int64_t num_attention_heads,
                               int64_t num_key_value_heads, int64_t head_dim, const Tensor& qkv_projs,
                               const Tensor& o_proj, const Tensor& q_norm_weight, const Tensor& k_norm_weight,
                               const Tensor& cos, const Tensor& sin, MPI_Comm comm, ParallelStrategy strategy,
                               AttentionAlgorithm algorithm) {
  return RunBlock({hidden_states, num_attention_heads, num_key_value_heads, head_dim, qkv_projs, o_proj,
                   q_norm_weight, k_norm_weight, cos, sin, strategy, algorithm},
                  comm, BestIsa());
}

Tensor qwen3_attention_mpi_avx(const Tensor& hidden_states, int64_t num_attention_heads,
                               int64_t num_key_value_heads, int64_t head_dim, const Tensor& qkv_projs,
                               const Tensor& o_proj, const Tensor& q_norm_weight, const Tensor& k_norm_weight,
                               const Tensor& cos, const Tensor& sin, MPI_Comm comm, ParallelStrategy strategy,
                               AttentionAlgorithm algorithm) {
  return RunBlock({hidden_states, num_attention_heads, num_key_value_heads, head_dim, qkv_projs, o_proj,
                   q_norm_weight, k_norm_weight, cos, sin, strategy, algorithm},
                  comm, Isa::kAvx2);
}

// The deprecated names are for callers; this translates them.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
Tensor qwen3_attention_mpi_omp(const Tensor& hidden_states, int64_t num_attention_heads,
                               int64_t num_key_value_heads, int64_t head_dim, const Tensor& qkv_projs,
                               const Tensor& o_proj, const Tensor& q_norm_weight, const Tensor& k_norm_weight,
                               const Tensor& cos, const Tensor& sin, MPI_Comm comm, MPIAttentionType type) {
  return qwen3_attention_mpi_omp(hidden_states, num_attention_heads, num_key_value_heads, head_dim, qkv_projs,
                                 o_proj, q_norm_weight, k_norm_weight, cos, sin, comm,
                                 ParallelStrategy::kHeadwise,
                                 type == MPIAttentionType::STREAMING ? AttentionAlgorithm::kOnlineSoftmax
                                                                     : AttentionAlgorithm::kStandard);
}
#pragma GCC diagnostic pop

}  // namespace attention
