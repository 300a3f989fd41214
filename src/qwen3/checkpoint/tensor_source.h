// Where weights come from: a checkpoint on disk, or a seed.
#ifndef SRC_QWEN3_CHECKPOINT_TENSOR_SOURCE_H_
#define SRC_QWEN3_CHECKPOINT_TENSOR_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/qwen3/checkpoint/checkpoint.h"

namespace attention {

class TensorSource {
 public:
  // Writes elements [begin, begin + out.size()) of a row-major tensor. Callable from several threads; never
  // throws for a range inside the shape that it was opened with. Valid while the source lives.
  using Reader = std::function<void(int64_t begin, std::span<float> out)>;

  virtual ~TensorSource() = default;
  // Error (bad usage), naming source and tensor, unless there is a float tensor of exactly that shape.
  virtual Reader Open(const std::string& name, const std::vector<int64_t>& shape) const = 0;
  // To start an error about one of its tensors with: "FILE: tensor 'NAME'".
  virtual std::string Where(const std::string& name) const { return "tensor '" + name + "'"; }
};

// Safetensors as Hugging Face publishes them: a file, an index, or a directory.
std::unique_ptr<TensorSource> MakeCheckpointSource(const std::string& path);
std::unique_ptr<TensorSource> MakeCheckpointSource(std::shared_ptr<const Checkpoint> checkpoint);

// Seeded weights of any shape, the same on every rank and for every way of sharding: norm weights near 1
// (names that end in "norm.weight"), matrices uniform with variance 1 / inputs, so that activations keep
// their size through the layers.
std::unique_ptr<TensorSource> MakeSyntheticSource(uint64_t seed);

}  // namespace attention

#endif  // SRC_QWEN3_CHECKPOINT_TENSOR_SOURCE_H_
