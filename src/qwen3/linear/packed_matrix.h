// Weights of a linear layer, stored the way the matrix kernels read them.
//
// y = W x with W [outputs, inputs]. Outputs come in panels of kPanelOutputs; a panel stores its columns of
// W^T one input after the other, so that a kernel reads one long stream, whatever the number of rows of x:
//   fp32  panel[input][32]            output j of the panel at position j
//   bf16  panel[input / 2][32][2]     inputs (2 i, 2 i + 1) of an output side by side: one 32-bit lane holds
//                                     both, as the CPU's dot product of pairs takes them; a shift and a mask
//                                     widen them. An odd number of inputs ends with a weight of zero.
// Packed once, when weights are loaded. The layout is the same for every ISA.
//
// Ranges of outputs (whole panels) and of inputs (bf16: whole pairs) are views: tensor parallelism slices
// without copying.
#ifndef SRC_QWEN3_LINEAR_PACKED_MATRIX_H_
#define SRC_QWEN3_LINEAR_PACKED_MATRIX_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "src/base/aligned_buffer.h"
#include "src/base/data_type.h"

namespace attention {

inline constexpr int64_t kPanelOutputs = 32;

// Of so many inputs of a panel: in pairs if they are bf16.
constexpr int64_t StoredInputs(int64_t inputs, DataType type) {
  return type == DataType::kBfloat16 ? (inputs + 1) / 2 * 2 : inputs;
}
constexpr int64_t PanelCount(int64_t outputs) { return (outputs + kPanelOutputs - 1) / kPanelOutputs; }

struct PackedMatrixView {
  const std::byte* data = nullptr;
  DataType data_type = DataType::kFloat32;
  int64_t outputs = 0;
  int64_t inputs = 0;
  int64_t panel_bytes = 0;  // from one panel to the next

  int64_t panels() const { return PanelCount(outputs); }
  int64_t input_bytes() const { return kPanelOutputs * static_cast<int64_t>(SizeOf(data_type)); }
  const std::byte* Panel(int64_t panel) const { return data + panel * panel_bytes; }
  // Bytes a product with it has to read.
  int64_t weight_bytes() const { return panels() * inputs * input_bytes(); }

  // Panels [begin, begin + count): outputs from begin * 32.
  PackedMatrixView SlicePanels(int64_t begin, int64_t count) const;
  // W[:, begin : begin + count]: the part of the product that these inputs contribute. bf16: begin is even,
  // and so is count unless it ends with the last input.
  PackedMatrixView SliceInputs(int64_t begin, int64_t count) const;
};

class PackedMatrix {
 public:
  PackedMatrix() = default;
  // Zero weights. Throws Error if the sizes overflow or there is no memory.
  PackedMatrix(int64_t outputs, int64_t inputs, DataType data_type);

  // Fills every row: `read_row(output, row)` writes the `inputs` weights of one output. Called from `threads`
  // OpenMP threads at once, for each output once; must not throw.
  using RowReader = std::function<void(int64_t output, std::span<float> row)>;
  void Fill(const RowReader& read_row, int threads);

  // Weights of one output, as floats (embedding look-up).
  void ReadRow(int64_t output, std::span<float> row) const;

  PackedMatrixView view() const;
  size_t size_bytes() const { return storage_.size_bytes(); }

 private:
  int64_t PanelElements() const;
  void PackPanelRow(int64_t output, std::span<const float> row);

  int64_t outputs_ = 0;
  int64_t inputs_ = 0;
  DataType data_type_ = DataType::kFloat32;
  AlignedBuffer storage_;
};

}  // namespace attention

#endif  // SRC_QWEN3_LINEAR_PACKED_MATRIX_H_
