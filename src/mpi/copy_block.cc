#include "src/mpi/copy_block.h"

#include <cstring>

#include "src/base/error.h"

namespace attention {

void CopyBlock(const ConstTensorView& source, const TensorView& destination) {
  Require(source.shape == destination.shape && source.data_type == destination.data_type,
          "CopyBlock: blocks of different shape or type");
  const TensorShape& shape = source.shape;
  const int64_t element = static_cast<int64_t>(SizeOf(source.data_type));
  const int64_t row_bytes = RowBytes(source.data_type, shape.head_dim);
  const bool dense =
      source.token_stride * element == row_bytes && destination.token_stride * element == row_bytes;
  for (int64_t b = 0; b < shape.batch; ++b) {
    for (int64_t h = 0; h < shape.heads; ++h) {
      const std::byte* from = source.data + (b * source.batch_stride + h * source.head_stride) * element;
      std::byte* to =
          destination.data + (b * destination.batch_stride + h * destination.head_stride) * element;
      if (dense) {
        if (shape.tokens > 0) std::memcpy(to, from, static_cast<size_t>(shape.tokens * row_bytes));
        continue;
      }
      for (int64_t t = 0; t < shape.tokens; ++t) {
        std::memcpy(to + t * destination.token_stride * element, from + t * source.token_stride * element,
                    static_cast<size_t>(row_bytes));
      }
    }
  }
}

}  // namespace attention
