// AttentionState's other two operations: merge and finish. See attention_types.h for what a state is.
#ifndef SRC_ATTENTION_ATTENTION_STATE_H_
#define SRC_ATTENTION_ATTENTION_STATE_H_

#include "src/attention/attention_types.h"
#include "src/base/aligned_buffer.h"

namespace attention {

// Owns a state; starts empty.
class AttentionStateBuffer {
 public:
  AttentionStateBuffer() = default;
  AttentionStateBuffer(int64_t batch, int64_t heads, int64_t tokens, int64_t head_dim);
  AttentionStateView view() const { return view_; }
  size_t size_bytes() const { return buffer_.size_bytes(); }

 private:
  AlignedBuffer buffer_;
  AttentionStateView view_;
};

// (0, -inf, 0) in every row.
void ResetState(const AttentionStateView& state);

// into = merge(into, other), row by row:
//   m = max(m_a, m_b); o = o_a e^(m_a - m) + o_b e^(m_b - m); l likewise (Rabe & Staats 2021, eq. for
//   chunks).
// The empty state is neutral, exactly. Not associative in floating point: callers fix the order.
void MergeState(const AttentionStateView& into, const AttentionStateView& other);

// output = o / l; exactly 0 where l is 0. output: float32, shape of state.o.
void FinishState(const AttentionStateView& state, const TensorView& output);

}  // namespace attention

#endif  // SRC_ATTENTION_ATTENTION_STATE_H_
