// Attention in float64, written from the mathematics; what every kernel and strategy is compared with.
#ifndef SRC_ATTENTION_REFERENCE_ATTENTION_H_
#define SRC_ATTENTION_REFERENCE_ATTENTION_H_

#include <cstdint>
#include <vector>

#include "src/attention/attention_types.h"

namespace attention {

// One query row against all keys: softmax(q K^T * scale) V over keys 0 .. visible_keys-1 of (batch, kv_head)
// of k and v ([batch, KV heads, tokens, head_dim], tokens in global order). head_dim values; all 0 if no key
// is visible.
std::vector<double> ReferenceAttentionRow(const ConstTensorView& q, const ConstTensorView& k,
                                          const ConstTensorView& v, int64_t batch, int64_t query_head,
                                          int64_t kv_head, int64_t query_token, int64_t visible_keys,
                                          double scale);

// Whole tensors: q [batch, H, S, D]; k, v [batch, KV, S, D]; query head h reads KV head h / (H / KV); causal:
// row t sees keys 0 .. t. Returns [batch, H, S, D], contiguous.
std::vector<double> ReferenceAttention(const ConstTensorView& q, const ConstTensorView& k,
                                       const ConstTensorView& v, bool causal);

}  // namespace attention

#endif  // SRC_ATTENTION_REFERENCE_ATTENTION_H_
