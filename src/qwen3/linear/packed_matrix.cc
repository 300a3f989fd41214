#include "src/qwen3/linear/packed_matrix.h"

#include <vector>

#include "src/base/error.h"

namespace attention {
namespace {

// Where the weight of input i and output j of a panel stands in it.
int64_t PositionInPanel(int64_t i, int64_t j, DataType data_type) {
  if (data_type == DataType::kFloat32) return i * kPanelOutputs + j;
  return (i / 2 * kPanelOutputs + j) * 2 + i % 2;
}

}  // namespace

PackedMatrixView PackedMatrixView::SlicePanels(int64_t begin, int64_t count) const {
  Require(begin >= 0 && count >= 0 && begin + count <= panels(), "panels ", begin, " to ", begin + count,
          " of ", panels());
  PackedMatrixView slice = *this;
  slice.data += begin * panel_bytes;
  const int64_t rest = outputs - begin * kPanelOutputs;
  slice.outputs = count * kPanelOutputs < rest ? count * kPanelOutputs : rest;
  if (count == 0) slice.outputs = 0;
  return slice;
}

PackedMatrixView PackedMatrixView::SliceInputs(int64_t begin, int64_t count) const {
  Require(begin >= 0 && count >= 0 && begin + count <= inputs, "inputs ", begin, " to ", begin + count,
          " of ", inputs);
  Require(data_type == DataType::kFloat32 || (begin % 2 == 0 && (count % 2 == 0 || begin + count == inputs)),
          "bf16 weights are cut between pairs of inputs, not at ", begin, " and ", begin + count);
  PackedMatrixView slice = *this;
  slice.data += begin * input_bytes();
  slice.inputs = count;
  return slice;
}

PackedMatrix::PackedMatrix(int64_t outputs, int64_t inputs, DataType data_type)
    : outputs_(outputs), inputs_(inputs), data_type_(data_type) {
  Require(outputs >= 0 && inputs >= 0, "a weight matrix of ", outputs, " x ", inputs);
  const int64_t elements = CheckedProduct(CheckedProduct(PanelCount(outputs), kPanelOutputs, "weights"),
                                          StoredInputs(inputs, data_type), "weights");
  storage_ = AlignedBuffer(
      static_cast<size_t>(CheckedProduct(elements, static_cast<int64_t>(SizeOf(data_type)), "weight bytes")));
}

void PackedMatrix::Fill(const RowReader& read_row, int threads) {
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> row(static_cast<size_t>(inputs_));
#pragma omp for schedule(dynamic)
    for (int64_t panel = 0; panel < PanelCount(outputs_); ++panel) {
      for (int64_t j = 0; j < kPanelOutputs && panel * kPanelOutputs + j < outputs_; ++j) {
        read_row(panel * kPanelOutputs + j, row);
        PackPanelRow(panel * kPanelOutputs + j, row);
      }
    }
  }
}

int64_t PackedMatrix::PanelElements() const { return kPanelOutputs * StoredInputs(inputs_, data_type_); }

void PackedMatrix::PackPanelRow(int64_t output, std::span<const float> row) {
  const int64_t panel = output / kPanelOutputs * PanelElements(), j = output % kPanelOutputs;
  for (int64_t i = 0; i < inputs_; ++i) {
    const int64_t at = panel + PositionInPanel(i, j, data_type_);
    if (data_type_ == DataType::kFloat32) {
      storage_.As<float>()[at] = row[i];
    } else {
      storage_.As<Bfloat16>()[at] = Bfloat16::FromFloat(row[i]);
    }
  }
}

void PackedMatrix::ReadRow(int64_t output, std::span<float> row) const {
  const int64_t panel = output / kPanelOutputs * PanelElements(), j = output % kPanelOutputs;
  for (int64_t i = 0; i < inputs_; ++i) {
    const int64_t at = panel + PositionInPanel(i, j, data_type_);
    row[i] =
        data_type_ == DataType::kFloat32 ? storage_.As<float>()[at] : storage_.As<Bfloat16>()[at].ToFloat();
  }
}

PackedMatrixView PackedMatrix::view() const {
  return {storage_.data(), data_type_, outputs_, inputs_,
          PanelElements() * static_cast<int64_t>(SizeOf(data_type_))};
}

}  // namespace attention
