// Rows of a tensor, one by one, where they need not be fast.
#ifndef SRC_BASE_TENSOR_ROWS_H_
#define SRC_BASE_TENSOR_ROWS_H_

#include <cstdint>
#include <span>

#include "src/base/tensor_view.h"

namespace attention {

// Puts a row, rounded to the view's type, where it belongs.
void StoreRow(std::span<const float> row, const TensorView& view, int64_t batch, int64_t head, int64_t token);

// Calls function(row) for each row of a float32 view, wherever it lies.
template <typename Function>
void ForEachRow(const TensorView& view, const Function& function) {
  for (int64_t b = 0; b < view.shape.batch; ++b) {
    for (int64_t h = 0; h < view.shape.heads; ++h) {
      for (int64_t t = 0; t < view.shape.tokens; ++t) {
        function(std::span(view.Row<float>(b, h, t), static_cast<size_t>(view.shape.head_dim)));
      }
    }
  }
}

}  // namespace attention

#endif  // SRC_BASE_TENSOR_ROWS_H_
