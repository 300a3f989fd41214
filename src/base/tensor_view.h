// Strided views of [batch, heads, tokens, head_dim] tensors. A view owns nothing; head_dim is contiguous.
//
// The same view type describes head-major storage ([batch, heads, tokens, head_dim]: attention scope), the
// token-major storage projections write ([batch, tokens, heads, head_dim]: block scope), and any slice of
// them, so kernels and exchanges need no transposes.
#ifndef SRC_BASE_TENSOR_VIEW_H_
#define SRC_BASE_TENSOR_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "src/base/data_type.h"

namespace attention {

// Most elements of a head that kernels take.
inline constexpr int64_t kMaxHeadDim = 256;

// Sizes in elements; all may be 0.
struct TensorShape {
  int64_t batch = 0;
  int64_t heads = 0;
  int64_t tokens = 0;
  int64_t head_dim = 0;

  int64_t elements() const { return batch * heads * tokens * head_dim; }
  bool operator==(const TensorShape&) const = default;
};

template <typename Byte>
struct BasicTensorView {
  static_assert(std::is_same_v<std::remove_const_t<Byte>, std::byte>);
  template <typename T>
  using Element = std::conditional_t<std::is_const_v<Byte>, const T, T>;

  Byte* data = nullptr;
  DataType data_type = DataType::kFloat32;
  TensorShape shape;
  // Strides in elements between neighbours along an axis; head_dim has stride 1. Rows may be further apart
  // than head_dim; those of int8 have their scale there.
  int64_t batch_stride = 0;
  int64_t head_stride = 0;
  int64_t token_stride = 0;

  // First element of a row. T must match data_type.
  template <typename T>
  Element<T>* Row(int64_t batch, int64_t head, int64_t token) const {
    return reinterpret_cast<Element<T>*>(data) + batch * batch_stride + head * head_stride +
           token * token_stride;
  }

  BasicTensorView SliceBatch(int64_t begin, int64_t count) const {
    return Slice(begin * batch_stride, {count, shape.heads, shape.tokens, shape.head_dim});
  }
  BasicTensorView SliceHeads(int64_t begin, int64_t count) const {
    return Slice(begin * head_stride, {shape.batch, count, shape.tokens, shape.head_dim});
  }
  BasicTensorView SliceTokens(int64_t begin, int64_t count) const {
    return Slice(begin * token_stride, {shape.batch, shape.heads, count, shape.head_dim});
  }

  operator BasicTensorView<const std::byte>() const requires(!std::is_const_v<Byte>) {
    return {data, data_type, shape, batch_stride, head_stride, token_stride};
  }

 private:
  BasicTensorView Slice(int64_t offset, TensorShape slice_shape) const {
    BasicTensorView view = *this;
    // An empty slice may start one past the end of anything; it is never read.
    if (data != nullptr) view.data = data + offset * static_cast<int64_t>(SizeOf(data_type));
    view.shape = slice_shape;
    return view;
  }
};

using TensorView = BasicTensorView<std::byte>;
using ConstTensorView = BasicTensorView<const std::byte>;

// Bytes of dense storage.
inline int64_t StorageBytes(DataType type, const TensorShape& shape) {
  return shape.batch * shape.heads * shape.tokens * RowBytes(type, shape.head_dim);
}
// Elements from a row of dense storage to the next.
inline int64_t RowStride(DataType type, const TensorShape& shape) {
  return RowBytes(type, shape.head_dim) / static_cast<int64_t>(SizeOf(type));
}

// Storage [batch, heads, tokens, head_dim].
inline TensorView HeadMajorView(void* data, DataType type, TensorShape shape) {
  const int64_t row = RowStride(type, shape);
  return {
      static_cast<std::byte*>(data), type, shape, shape.heads * shape.tokens * row, shape.tokens * row, row};
}
inline ConstTensorView HeadMajorView(const void* data, DataType type, TensorShape shape) {
  return HeadMajorView(const_cast<void*>(data), type, shape);
}

// Storage [batch, tokens, heads, head_dim].
inline TensorView TokenMajorView(void* data, DataType type, TensorShape shape) {
  const int64_t row = RowStride(type, shape);
  return {static_cast<std::byte*>(data),    type, shape,
          shape.tokens * shape.heads * row, row,  shape.heads * row};
}
inline ConstTensorView TokenMajorView(const void* data, DataType type, TensorShape shape) {
  return TokenMajorView(const_cast<void*>(data), type, shape);
}

}  // namespace attention

#endif  // SRC_BASE_TENSOR_VIEW_H_
