// In a simulation: products of linear layers take their time.
#include "src/qwen3/linear/linear.h"

#include "src/base/error.h"
#include "src/simulate/simulated_time.h"

namespace attention {

// With room as the real one has, about: what it is cut into is a kernel's business.
Linear::Linear(Isa isa, int threads, int64_t max_rows, int64_t max_inputs, DataType activations)
    : isa_(isa),
      activations_(activations),
      threads_(threads),
      packed_(static_cast<size_t>(max_rows * StoredInputs(max_inputs, activations)) * SizeOf(activations)) {}

void Linear::Run(const ConstRows& x, const PackedMatrixView& weights, Store, const Rows& y) {
  Require(x.rows == y.rows, "a product of ", x.rows, " rows into ", y.rows);
  Require(weights.data_type == activations_, "a product of types that differ is not simulated");
  if (x.rows == 0) return;
  const auto touched = static_cast<double>(x.rows * (weights.inputs + weights.outputs)) * sizeof(float);
  SpendProduct({isa_, weights.data_type, threads_}, x.rows, weights.inputs, weights.outputs,
               static_cast<double>(weights.weight_bytes()) + touched);
}

}  // namespace attention
