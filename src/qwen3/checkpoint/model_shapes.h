// Shapes of the dense Qwen3 models (Qwen3 Technical Report, 2025; their config.json files).
#ifndef SRC_QWEN3_CHECKPOINT_MODEL_SHAPES_H_
#define SRC_QWEN3_CHECKPOINT_MODEL_SHAPES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace attention {

struct ModelShape {
  std::string name;
  int64_t query_heads = 0;
  int64_t kv_heads = 0;  // divides query_heads
  int64_t head_dim = 0;
  // 0 for a shape that is only heads (scope: attention needs no more).
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t layers = 0;
  int64_t vocabulary_size = 0;

  bool operator==(const ModelShape&) const = default;
};

// qwen3-0.6b, -1.7b, -4b, -8b, -14b, -32b, smallest first.
std::span<const ModelShape> Qwen3Shapes();
std::optional<ModelShape> FindQwen3Shape(std::string_view name);

}  // namespace attention

#endif  // SRC_QWEN3_CHECKPOINT_MODEL_SHAPES_H_
