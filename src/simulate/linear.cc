// In a simulation: products of linear layers take their time.
#include "src/qwen3/linear/linear.h"

#include "src/base/error.h"
#include "src/simulate/simulated_time.h"

namespace attention {

Linear::Linear(Isa isa, int threads, int64_t, int64_t, DataType activations)
    : isa_(isa), activations_(activations), threads_(threads) {}

void Linear::Run(const ConstRows& x, const PackedMatrixView& weights, Store, const Rows& y) {
  Require(x.rows == y.rows, "a product of ", x.rows, " rows into ", y.rows);
  Require(weights.data_type == activations_, "a product of types that differ is not simulated");
  const auto touched = static_cast<double>(x.rows * (weights.inputs + weights.outputs)) * sizeof(float);
  SpendProduct({isa_, weights.data_type, threads_}, x.rows, weights.inputs, weights.outputs,
               static_cast<double>(weights.weight_bytes()) + touched);
}

}  // namespace attention
