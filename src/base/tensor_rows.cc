#include "src/base/tensor_rows.h"

#include <algorithm>

#include "src/base/data_type.h"
#include "src/base/int8_row.h"

namespace attention {

void StoreRow(std::span<const float> row, const TensorView& view, int64_t batch, int64_t head,
              int64_t token) {
  switch (view.data_type) {
    case DataType::kFloat32:
      std::ranges::copy(row, view.Row<float>(batch, head, token));
      break;
    case DataType::kBfloat16:
      std::ranges::transform(row, view.Row<Bfloat16>(batch, head, token), Bfloat16::FromFloat);
      break;
    case DataType::kInt8:
      RoundToInt8Row(row, view.Row<int8_t>(batch, head, token));
      break;
  }
}

}  // namespace attention
