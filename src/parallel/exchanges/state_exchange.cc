#include "src/parallel/exchanges/state_exchange.h"

namespace attention {
namespace {

// m or l as a tensor of one column.
TensorView Column(const AttentionStateView& state, float* values) {
  TensorShape shape = state.o.shape;
  shape.head_dim = 1;
  return HeadMajorView(values, DataType::kFloat32, shape);
}

}  // namespace

void SendState(RequestSet& requests, const AttentionStateView& state, int destination) {
  SendHeadsOfState(requests, state, 0, state.o.shape.heads, destination);
}

void SendHeadsOfState(RequestSet& requests, const AttentionStateView& state, int64_t head_begin,
                      int64_t heads, int destination) {
  requests.Send({state.o.SliceHeads(head_begin, heads), Column(state, state.m).SliceHeads(head_begin, heads),
                 Column(state, state.l).SliceHeads(head_begin, heads)},
                destination);
}

void CopyHeadsOfState(RequestSet& requests, const AttentionStateView& state, int64_t head_begin,
                      const AttentionStateView& into) {
  const int64_t heads = into.o.shape.heads;
  requests.Copy(state.o.SliceHeads(head_begin, heads), into.o);
  requests.Copy(Column(state, state.m).SliceHeads(head_begin, heads), Column(into, into.m));
  requests.Copy(Column(state, state.l).SliceHeads(head_begin, heads), Column(into, into.l));
}

void ReceiveState(RequestSet& requests, const AttentionStateView& state, int source) {
  requests.Receive({state.o, Column(state, state.m), Column(state, state.l)}, source);
}

}  // namespace attention
