// One call of a kernel: some query rows attend to some keys.
#ifndef SRC_ATTENTION_ATTENTION_STEP_H_
#define SRC_ATTENTION_ATTENTION_STEP_H_

#include <cstdint>
#include <limits>
#include <span>

#include "src/attention/attention_types.h"

namespace attention {

// KV heads of a rank's tensors; all of them if not said.
struct KvHeadRange {
  int64_t begin = 0;
  int64_t end = std::numeric_limits<int64_t>::max();

  bool Contains(int64_t kv_head) const { return begin <= kv_head && kv_head < end; }
};

// The query rows of a shard attend to the keys and values of some shards, in their order.
//   first: the state is taken as empty, whatever it holds. last: the result is finished into `output`
//   (o / l; a row that saw no key is exactly 0), after which the state is undefined.
// A step that is first and last, has at most one shard and all heads needs no state, and is all that an
// algorithm without a state can do (AlgorithmRow::carries_state; Error otherwise).
//
// Several shards are to the bit what a step for each would give, but queries and state pass once; only a last
// step may have them. It needs a state all the same: rows that come out non-finite take the steps one by one.
// Shards may be empty (no segments, or of length 0), and there may be none; with last, output is written all
// the same. What the spans point to must live through the call.
struct AttentionStep {
  QueryShard query;
  std::span<const KeyValueShard> key_values;
  AttentionStateView state = {};
  TensorView output = {};  // [batch, query_heads, tokens as query.q, head_dim], float32; rows as query.q
  bool first = true;
  bool last = true;
  KvHeadRange kv_heads = {};  // the query heads of other KV heads stay untouched
  Progress progress = {};

  // The step of shard `index` alone.
  AttentionStep OfShard(size_t index) const {
    AttentionStep step = *this;
    step.key_values = key_values.subspan(index, 1);
    step.first = first && index == 0;
    step.last = last && index + 1 == key_values.size();
    return step;
  }
  // Whether only an algorithm with a state can do it, on a rank of `rank_kv_heads` KV heads.
  bool needs_carried_state(int64_t rank_kv_heads) const {
    return !first || !last || key_values.size() > 1 || kv_heads.begin > 0 || kv_heads.end < rank_kv_heads;
  }
};

}  // namespace attention

#endif  // SRC_ATTENTION_ATTENTION_STEP_H_
