// Linear layers on packed weights: y = x W^T.
//
// One driver for prefill (many rows: bounded by multiply-adds) and decode (one row: bounded by reading the
// weights once).
#ifndef SRC_QWEN3_LINEAR_LINEAR_H_
#define SRC_QWEN3_LINEAR_LINEAR_H_

#include <cstddef>
#include <cstdint>

#include "src/base/aligned_buffer.h"
#include "src/base/data_type.h"
#include "src/qwen3/linear/linear_kernels.h"
#include "src/qwen3/linear/packed_matrix.h"
#include "src/simd/isa.h"

namespace attention {

// Rows of floats; row r begins at data + r * stride.
struct ConstRows {
  const float* data = nullptr;
  int64_t rows = 0;
  int64_t stride = 0;
};
struct Rows {
  float* data = nullptr;
  int64_t rows = 0;
  int64_t stride = 0;

  operator ConstRows() const { return {data, rows, stride}; }
};

enum class Store { kOverwrite, kAdd };

class Linear {
 public:
  // Workspace for products of up to max_rows rows with up to max_inputs inputs; nothing is allocated later.
  // activations: bf16 rounds x before it is multiplied, which bf16 weights are needed for.
  Linear(Isa isa, int threads, int64_t max_rows, int64_t max_inputs,
         DataType activations = DataType::kFloat32);

  // y [rows, weights.outputs] (=, or +=) x [rows, weights.inputs] W^T. fp32 sums whatever the types. y must
  // not overlap x.
  void Run(const ConstRows& x, const PackedMatrixView& weights, Store store, const Rows& y);

  size_t workspace_bytes() const { return packed_.size_bytes(); }

 private:
  Isa isa_;
  DataType activations_;
  int threads_;
  AlignedBuffer packed_;  // x, repacked tile by tile
};

}  // namespace attention

#endif  // SRC_QWEN3_LINEAR_LINEAR_H_
