// In a simulation: operations on states take their time.
#include "src/attention/attention_state.h"
#include "src/base/error.h"
#include "src/simulate/simulated_time.h"

namespace attention {
namespace {

int64_t BytesOf(const AttentionStateView& state) {
  const TensorShape& shape = state.o.shape;
  return shape.batch * shape.heads * shape.tokens * (shape.head_dim + 2) *
         static_cast<int64_t>(sizeof(float));
}

}  // namespace

// Before anything is timed.
void ResetState(const AttentionStateView&) {}

void MergeState(const AttentionStateView& into, const AttentionStateView& other) {
  Require(into.o.shape == other.o.shape, "MergeState: states of different shape");
  SpendBytes(MemoryWork::kMerge, BytesOf(into));
}

void FinishState(const AttentionStateView& state, const TensorView& output) {
  Require(state.o.shape == output.shape, "FinishState: state and output of different shape");
  SpendBytes(MemoryWork::kFinish, BytesOf(state));
}

}  // namespace attention
