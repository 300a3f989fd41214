// The tensors that a Qwen3 model is made of, by name and shape; and what lies beside them in a file.
#ifndef SRC_QWEN3_CHECKPOINT_MODEL_TENSORS_H_
#define SRC_QWEN3_CHECKPOINT_MODEL_TENSORS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "src/qwen3/checkpoint/config.h"
#include "src/qwen3/checkpoint/safetensors.h"

namespace attention {

// How much of a model something runs on.
enum class WeightExtent { kBlock, kLayer, kModel };  // attention of layer 0, layer 0, all of it

struct NamedShape {
  std::string name;
  std::vector<int64_t> shape;
};

// In the order in which computing needs them.
std::vector<NamedShape> ModelTensors(const Qwen3Config& config, WeightExtent extent);

// Throws Error (bad usage) naming the first weight of a model that is not stored as F32, BF16 or F16.
void RefuseQuantised(const std::map<std::string, const StoredTensor*>& tensors);

// A tensor that is stored and that computing with `config` does not read must be one whose absence changes
// nothing. Throws Error (bad usage) naming the first other one: a bias, a layer beyond the config's, an
// adapter, a scale of quantised weights, the head of a classifier, an LM head that differs from the embedding
// it is tied to. Let in are: tensors without elements; buffers that are computed from the config here
// (rotary frequencies and angles, position ids, masks); an LM head that is a copy of the embedding it is tied
// to; and names that have nothing to do with the model ("freqs_cis").
void RefuseUnreadTensors(const std::map<std::string, const StoredTensor*>& tensors,
                         const Qwen3Config& config);

// Whether a tensor, by its name, is such a buffer.
bool IsComputedBuffer(const std::string& name);

}  // namespace attention

#endif  // SRC_QWEN3_CHECKPOINT_MODEL_TENSORS_H_
