#include "src/qwen3/checkpoint/tensor_source.h"

#include <cmath>
#include <utility>

#include "src/base/counter_random.h"
#include "src/base/error.h"

namespace attention {
namespace {

class CheckpointSource : public TensorSource {
 public:
  explicit CheckpointSource(std::shared_ptr<const Checkpoint> checkpoint)
      : checkpoint_(std::move(checkpoint)) {}

  Reader Open(const std::string& name, const std::vector<int64_t>& shape) const override {
    const StoredTensor& tensor = checkpoint_->Get(name);
    tensor.RequireFloat(shape);
    return [&tensor](int64_t begin, std::span<float> out) { tensor.ReadFloats(begin, out); };
  }

  std::string Where(const std::string& name) const override { return checkpoint_->Get(name).Where(); }

 private:
  std::shared_ptr<const Checkpoint> checkpoint_;
};

class SyntheticSource : public TensorSource {
 public:
  explicit SyntheticSource(uint64_t seed) : seed_(seed) {}

  Reader Open(const std::string& name, const std::vector<int64_t>& shape) const override {
    // FNV-1a: every tensor gets its own stream.
    uint64_t stream = 0xCBF29CE484222325u;
    for (char c : name) stream = (stream ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
    const bool is_norm = name.ends_with("norm.weight");
    const double inputs = static_cast<double>(shape.back());
    // A uniform value in (-w, w) has variance w^2 / 3.
    const float width = static_cast<float>(is_norm ? 0.3 : std::sqrt(3 / inputs));
    const float centre = is_norm ? 1.0f : 0.0f;
    return [seed = seed_, stream, width, centre](int64_t begin, std::span<float> out) {
      for (size_t i = 0; i < out.size(); ++i) {
        const uint64_t bits = RandomBits(seed, stream, static_cast<uint64_t>(begin) + i);
        // 24 bits make every float in [-1, 1) on a grid of 2^-23.
        out[i] = centre + width * (static_cast<float>(bits >> 40) * 0x1p-23f - 1.0f);
      }
    };
  }

 private:
  uint64_t seed_;
};

}  // namespace

std::unique_ptr<TensorSource> MakeCheckpointSource(const std::string& path) {
  return MakeCheckpointSource(std::make_shared<const Checkpoint>(Checkpoint::Open(path)));
}

std::unique_ptr<TensorSource> MakeCheckpointSource(std::shared_ptr<const Checkpoint> checkpoint) {
  return std::make_unique<CheckpointSource>(std::move(checkpoint));
}

std::unique_ptr<TensorSource> MakeSyntheticSource(uint64_t seed) {
  return std::make_unique<SyntheticSource>(seed);
}

}  // namespace attention
