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
  requests.Send({state.o, Column(state, state.m), Column(state, state.l)}, destination);
}

void ReceiveState(RequestSet& requests, const AttentionStateView& state, int source) {
  requests.Receive({state.o, Column(state, state.m), Column(state, state.l)}, source);
}

}  // namespace attention
