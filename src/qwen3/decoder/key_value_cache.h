// Keys (after norm and rotation) and values of one layer, on one rank.
#ifndef SRC_QWEN3_DECODER_KEY_VALUE_CACHE_H_
#define SRC_QWEN3_DECODER_KEY_VALUE_CACHE_H_

#include <cstdint>

#include "src/base/aligned_buffer.h"
#include "src/base/data_type.h"
#include "src/base/tensor_view.h"

namespace attention {

// Which tokens and heads lie in it is the business of DecoderStep: headwise, the rank's KV heads of all
// tokens; sequence, all KV heads of the rank's tokens, in the order in which they came; of a layer that
// slides, while decoding, see window_cache.h.
class KeyValueCache {
 public:
  // Room for `capacity` tokens of this rank.
  KeyValueCache(int64_t batch, int64_t kv_heads, int64_t capacity, int64_t head_dim,
                DataType data_type = DataType::kFloat32)
      : shape_{batch, kv_heads, capacity, head_dim},
        data_type_(data_type),
        keys_(static_cast<size_t>(Bytes(shape_, data_type))),
        values_(static_cast<size_t>(Bytes(shape_, data_type))) {}

  int64_t capacity() const { return shape_.tokens; }
  DataType data_type() const { return data_type_; }
  // [batch, KV heads, capacity, head_dim], head-major: a head's tokens follow each other, as decode reads.
  TensorView keys() { return HeadMajorView(keys_.data(), data_type_, shape_); }
  TensorView values() { return HeadMajorView(values_.data(), data_type_, shape_); }
  size_t size_bytes() const { return keys_.size_bytes() + values_.size_bytes(); }

 private:
  static int64_t Bytes(const TensorShape& shape, DataType data_type) {
    const int64_t rows =
        CheckedProduct(CheckedProduct(shape.batch, shape.heads, "KV cache"), shape.tokens, "KV cache");
    return CheckedProduct(rows, RowBytes(data_type, shape.head_dim), "KV cache");
  }

  TensorShape shape_;
  DataType data_type_;
  AlignedBuffer keys_;
  AlignedBuffer values_;
};

}  // namespace attention

#endif  // SRC_QWEN3_DECODER_KEY_VALUE_CACHE_H_
