// The weights of a Qwen3 model as one rank holds them, and the views that computing takes.
#ifndef SRC_QWEN3_DECODER_WEIGHTS_H_
#define SRC_QWEN3_DECODER_WEIGHTS_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "src/base/data_type.h"
#include "src/parallel/partition/partition.h"
#include "src/qwen3/checkpoint/config.h"
#include "src/qwen3/checkpoint/model_tensors.h"
#include "src/qwen3/checkpoint/tensor_source.h"
#include "src/qwen3/linear/packed_matrix.h"

namespace attention {

// Views of one layer's weights, whole or a rank's share. Matrices are [outputs, inputs].
struct AttentionWeights {
  PackedMatrixView qkv;           // outputs: query heads, then key heads, then value heads of this rank
  PackedMatrixView o;             // inputs: query heads of this rank
  std::span<const float> q_norm;  // [head_dim]
  std::span<const float> k_norm;  // [head_dim]
  // Empty without attention_bias.
  std::span<const float> qkv_bias;  // an element per output of qkv
  std::span<const float> o_bias;    // [hidden]
};
struct MlpWeights {
  PackedMatrixView gate_up;  // outputs: 16 gates, their 16 ups, the next 16 gates, ... (GateUpRow)
  PackedMatrixView down;     // inputs: the intermediate values of this rank, padded to groups of 16
};
struct LayerWeights {
  std::span<const float> input_norm;           // [hidden]
  std::span<const float> post_attention_norm;  // [hidden]
  AttentionWeights attention;
  MlpWeights mlp;
};

// Gates and ups alternate in groups of 16, so that one panel of 32 outputs holds both of 16 intermediate
// values, any range of panels is a range of intermediate values, and SwiGLU reads one stream.
inline constexpr int64_t kGateGroup = kPanelOutputs / 2;
struct GateUpRow {
  bool is_up;
  int64_t intermediate;  // may lie beyond intermediate_size: a row of zeros
};
constexpr GateUpRow GateUpRowOf(int64_t output) {
  return {output % kPanelOutputs >= kGateGroup, output / kPanelOutputs * kGateGroup + output % kGateGroup};
}
constexpr int64_t GateGroups(int64_t intermediate_size) {
  return (intermediate_size + kGateGroup - 1) / kGateGroup;
}

// What part of every layer a rank holds. Tensor parallel (Megatron): its query heads with the KV heads they
// read, and its groups of intermediate values. Token parallel: everything.
struct WeightShare {
  HeadShare heads;
  IndexRange gate_groups;

  static WeightShare Whole(const Qwen3Config& config);
  static WeightShare TensorParallel(const Qwen3Config& config, int64_t parts, int64_t index);
};

// What a rank stores of every layer under a strategy.
WeightShare StoredWeights(const Qwen3Config& config, ParallelStrategy strategy, int64_t ranks, int64_t rank);

// Throws the first Error (bad usage) that loading that much would throw for a tensor that is missing or
// misshaped; reads no weights.
void CheckTensors(const TensorSource& source, const Qwen3Config& config, WeightExtent extent);

// What loads weights, below, throws Error (bad usage) naming the tensor if it is missing or misshaped, or if
// a value that is loaded is not finite.

// One layer's weights in memory.
class LayerStorage {
 public:
  // Reads "PREFIXself_attn.q_proj.weight" and so on; the MLP and the layer norms only if the config has an
  // intermediate size. Matrices are stored as `type` (rounded to nearest if they are wider), norms as fp32.
  LayerStorage(const TensorSource& source, const std::string& prefix, const Qwen3Config& config,
               const WeightShare& share, DataType type, int threads);

  LayerWeights view() const;
  size_t size_bytes() const;

 private:
  std::vector<float> input_norm_, post_attention_norm_, q_norm_, k_norm_, qkv_bias_, o_bias_;
  PackedMatrix qkv_, o_, gate_up_, down_;
};

// Makes a matrix of rows [first_row, ...) x columns [first_column, ...) of a stored one.
struct MatrixSlice {
  std::string name;
  int64_t rows, columns;  // of the whole tensor
  IndexRange row_range, column_range;
};
PackedMatrix LoadMatrix(const TensorSource& source, const MatrixSlice& slice, DataType type, int threads);
std::vector<float> LoadVector(const TensorSource& source, const std::string& name, int64_t size);

}  // namespace attention

#endif  // SRC_QWEN3_DECODER_WEIGHTS_H_
