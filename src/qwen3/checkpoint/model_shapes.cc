#include "src/qwen3/checkpoint/model_shapes.h"

namespace attention {

std::span<const ModelShape> Qwen3Shapes() {
  static const ModelShape kShapes[] = {
      {"qwen3-0.6b", 16, 8, 128, 1024, 3072, 28, 151936}, {"qwen3-1.7b", 16, 8, 128, 2048, 6144, 28, 151936},
      {"qwen3-4b", 32, 8, 128, 2560, 9728, 36, 151936},   {"qwen3-8b", 32, 8, 128, 4096, 12288, 36, 151936},
      {"qwen3-14b", 40, 8, 128, 5120, 17408, 40, 151936}, {"qwen3-32b", 64, 8, 128, 5120, 25600, 64, 151936},
  };
  return kShapes;
}

std::optional<ModelShape> FindQwen3Shape(std::string_view name) {
  for (const ModelShape& shape : Qwen3Shapes()) {
    if (shape.name == name) return shape;
  }
  return std::nullopt;
}

}  // namespace attention
