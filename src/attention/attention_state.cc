#include "src/attention/attention_state.h"

namespace attention {

AttentionStateBuffer::AttentionStateBuffer(int64_t batch, int64_t heads, int64_t tokens, int64_t head_dim) {
  const int64_t rows = CheckedProduct(CheckedProduct(batch, heads, "state rows"), tokens, "state rows");
  const int64_t floats = CheckedProduct(rows, head_dim + 2, "state elements");
  buffer_ = AlignedBuffer(static_cast<size_t>(CheckedProduct(floats, sizeof(float), "state bytes")));
  float* data = reinterpret_cast<float*>(buffer_.data());
  view_.o = HeadMajorView(data, DataType::kFloat32, {batch, heads, tokens, head_dim});
  view_.m = data + rows * head_dim;
  view_.l = view_.m + rows;
  ResetState(view_);
}

}  // namespace attention
