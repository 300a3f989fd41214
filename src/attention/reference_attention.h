// Attention in float64, written from the mathematics; what every kernel and strategy is compared with.
#ifndef SRC_ATTENTION_REFERENCE_ATTENTION_H_
#define SRC_ATTENTION_REFERENCE_ATTENTION_H_

#include <cstdint>
#include <vector>

#include "src/attention/mask.h"
#include "src/base/tensor_view.h"

namespace attention {

// One query row against all keys: softmax(q K^T * scale) V over keys `visible` of (batch, kv_head) of
// k and v ([batch, KV heads, tokens, head_dim], tokens in global order). head_dim values; all 0 if no key
// is visible.
std::vector<double> ReferenceAttentionRow(const ConstTensorView& q, const ConstTensorView& k,
                                          const ConstTensorView& v, int64_t batch, int64_t query_head,
                                          int64_t kv_head, int64_t query_token, KeyRange visible,
                                          double scale);

// Whole tensors: q [batch, H, S, D]; k, v [batch, KV, S, D]; query head h reads KV head h / (H / KV); row t
// sees the keys of `mask` at position t. Returns [batch, H, S, D], contiguous.
std::vector<double> ReferenceAttention(const ConstTensorView& q, const ConstTensorView& k,
                                       const ConstTensorView& v, const Mask& mask);

}  // namespace attention

#endif  // SRC_ATTENTION_REFERENCE_ATTENTION_H_
