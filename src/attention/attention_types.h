// The words of one rank's attention: token segments, shards, and the running state of a softmax.
#ifndef SRC_ATTENTION_ATTENTION_TYPES_H_
#define SRC_ATTENTION_ATTENTION_TYPES_H_

#include <cstdint>
#include <span>

#include "src/base/tensor_view.h"

namespace attention {

// A run of tokens: rows [local_begin, local_begin + length) of a local tensor hold the tokens
// [global_begin, global_begin + length) of the whole sequence. Masks use global positions only.
struct TokenSegment {
  int64_t local_begin = 0;
  int64_t global_begin = 0;
  int64_t length = 0;

  bool operator==(const TokenSegment&) const = default;
};

// Query rows a rank works on. q: [batch, query heads of this rank, local tokens, head_dim].
struct QueryShard {
  ConstTensorView q;
  std::span<const TokenSegment> segments;
};

// Keys and values of some tokens. k, v: [batch, KV heads of this rank, local tokens, head_dim], same shape.
struct KeyValueShard {
  ConstTensorView k;
  ConstTensorView v;
  std::span<const TokenSegment> segments;
};

// Which query head reads which KV head. With `group_size` = H / KV of the whole model and `first_query_head`
// the global index of local query head 0, local query head h reads global KV head (first_query_head + h) /
// group_size, which is local KV head (first_query_head + h) / group_size - first_kv_head.
struct HeadMapping {
  int64_t group_size = 1;
  int64_t first_query_head = 0;
  int64_t first_kv_head = 0;

  int64_t KvHead(int64_t local_query_head) const {
    return (first_query_head + local_query_head) / group_size - first_kv_head;
  }
};

// Running softmax of each query row, unfinished (row_state.h):
//
//   o [batch, heads, tokens, head_dim]  sum over seen keys of exp(s - m) * v, not normalised; float32
//   m [batch, heads, tokens]            max of the scaled logits s seen so far, natural units; -inf if none
//   l [batch, heads, tokens]            sum over seen keys of exp(s - m)
//
// The empty state is (0, -inf, 0); it is neutral in MergeState. m and l are contiguous in that order of axes.
// Rows are the local tokens of the QueryShard it belongs to. Views; owned by the caller (AttentionStateBuffer
// owns one).
struct AttentionStateView {
  TensorView o;
  float* m = nullptr;
  float* l = nullptr;

  int64_t RowIndex(int64_t batch, int64_t head, int64_t token) const {
    return (batch * o.shape.heads + head) * o.shape.tokens + token;
  }
};

// Called by the kernel from the thread that called it, between tiles, at least every 100 us of work. Cheap
// when null. `src/parallel` polls MPI in it; the kernels stay free of MPI.
struct Progress {
  void (*poll)(void* context) = nullptr;
  void* context = nullptr;

  void operator()() const {
    if (poll != nullptr) poll(context);
  }
};

// Tile sizes; 0 = chosen from the machine's caches, per algorithm.
struct TileSizes {
  int64_t q_block = 0;   // query rows per tile (per head of the group)
  int64_t kv_block = 0;  // keys per tile

  bool operator==(const TileSizes&) const = default;
};

}  // namespace attention

#endif  // SRC_ATTENTION_ATTENTION_TYPES_H_
