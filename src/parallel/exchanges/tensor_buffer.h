// Tensors that own their memory: room for what comes from other ranks.
#ifndef SRC_PARALLEL_EXCHANGES_TENSOR_BUFFER_H_
#define SRC_PARALLEL_EXCHANGES_TENSOR_BUFFER_H_

#include "src/base/aligned_buffer.h"
#include "src/base/tensor_view.h"

namespace attention {

// Head-major; zeroed, its pages touched.
class TensorBuffer {
 public:
  TensorBuffer() = default;
  TensorBuffer(DataType type, TensorShape shape)
      : buffer_(static_cast<size_t>(StorageBytes(type, shape))),
        view_(HeadMajorView(buffer_.data(), type, shape)) {}

  TensorView view() const { return view_; }
  // The same memory as a dense tensor of fewer tokens.
  TensorView Dense(int64_t tokens) const {
    TensorShape shape = view_.shape;
    shape.tokens = tokens;
    return HeadMajorView(view_.data, view_.data_type, shape);
  }
  size_t size_bytes() const { return buffer_.size_bytes(); }

 private:
  AlignedBuffer buffer_;
  TensorView view_;
};

struct KeyValueBuffer {
  TensorBuffer k;
  TensorBuffer v;

  KeyValueBuffer() = default;
  KeyValueBuffer(DataType type, TensorShape shape) : k(type, shape), v(type, shape) {}
  size_t size_bytes() const { return k.size_bytes() + v.size_bytes(); }
};

}  // namespace attention

#endif  // SRC_PARALLEL_EXCHANGES_TENSOR_BUFFER_H_
