// What a decoder rounds to bfloat16 beside its weights.
#ifndef SRC_QWEN3_DECODER_PRECISION_H_
#define SRC_QWEN3_DECODER_PRECISION_H_

#include "src/base/data_type.h"

namespace attention {

// Sums are float32 whatever this says, and so are hidden states, norms and what is between the products.
struct DecoderPrecision {
  // What linear layers multiply with the weights. bf16, for bf16 weights, rounds it first, as Hugging Face's
  // bf16 models do.
  DataType activations = DataType::kFloat32;
  // Keys and values, in the cache and on their way, and the queries that meet them. int8
  // (src/base/int8_row.h) is in the cache alone: queries stay float32, and a prefill attends, in float32, to
  // what its cache stands for.
  DataType kv_cache = DataType::kFloat32;

  // What queries are rounded to, and what a prefill attends to.
  DataType queries() const { return kv_cache == DataType::kInt8 ? DataType::kFloat32 : kv_cache; }

  bool operator==(const DecoderPrecision&) const = default;
};

}  // namespace attention

#endif  // SRC_QWEN3_DECODER_PRECISION_H_
