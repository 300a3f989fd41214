#include <algorithm>

#include "src/attention/attention_state.h"
#include "src/attention/row_state.h"
#include "src/base/error.h"

namespace attention {
namespace {

template <typename Function>
void ForEachRow(const TensorShape& shape, Function function) {
  for (int64_t b = 0; b < shape.batch; ++b) {
    for (int64_t h = 0; h < shape.heads; ++h) {
      for (int64_t t = 0; t < shape.tokens; ++t) function(b, h, t);
    }
  }
}

}  // namespace

void ResetState(const AttentionStateView& state) {
  ForEachRow(state.o.shape, [&](int64_t b, int64_t h, int64_t t) {
    std::fill_n(state.o.Row<float>(b, h, t), state.o.shape.head_dim, 0.0f);
    state.m[state.RowIndex(b, h, t)] = NaturalRow::kEmpty;
    state.l[state.RowIndex(b, h, t)] = 0.0f;
  });
}

void MergeState(const AttentionStateView& into, const AttentionStateView& other) {
  Require(into.o.shape == other.o.shape, "MergeState: states of different shape");
  ForEachRow(into.o.shape, [&](int64_t b, int64_t h, int64_t t) {
    const int64_t row = into.RowIndex(b, h, t);
    const NaturalRow::Merge merge = NaturalRow::MergeOf(into.m[row], other.m[row]);
    float* o = into.o.Row<float>(b, h, t);
    const float* other_o = other.o.Row<float>(b, h, t);
    // What weighs nothing is not touched: an empty state is neutral whatever its o holds.
    if (merge.other_weight == 0) return;
    if (merge.weight == 0) {
      for (int64_t d = 0; d < into.o.shape.head_dim; ++d) o[d] = other_o[d] * merge.other_weight;
      into.l[row] = other.l[row] * merge.other_weight;
    } else {
      for (int64_t d = 0; d < into.o.shape.head_dim; ++d) {
        o[d] = o[d] * merge.weight + other_o[d] * merge.other_weight;
      }
      into.l[row] = into.l[row] * merge.weight + other.l[row] * merge.other_weight;
    }
    into.m[row] = merge.m;
  });
}

void FinishState(const AttentionStateView& state, const TensorView& output) {
  Require(output.shape == state.o.shape, "FinishState: output of another shape");
  ForEachRow(state.o.shape, [&](int64_t b, int64_t h, int64_t t) {
    const float l = state.l[state.RowIndex(b, h, t)];
    const float* o = state.o.Row<float>(b, h, t);
    float* out = output.Row<float>(b, h, t);
    for (int64_t d = 0; d < state.o.shape.head_dim; ++d) out[d] = l == 0 ? 0 : o[d] / l;
  });
}

}  // namespace attention
