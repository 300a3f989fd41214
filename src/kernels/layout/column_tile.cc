#include "src/kernels/layout/column_tile.h"

#include <algorithm>

namespace attention {

void MaskBlock(const ColumnTile& tile, bool causal, int64_t begin, int vectors, const TileKernels& kernels,
               int64_t key_begin, int64_t keys, BlockMask& mask) {
  const auto seen_by = [&](int64_t column) {
    return VisibleKeys(causal, tile.Position(std::min(column, tile.columns() - 1)), key_begin, keys);
  };
  const int64_t width = static_cast<int64_t>(vectors) * kernels.lanes;
  mask.visible = seen_by(begin + width - 1);
  mask.unmasked = seen_by(begin);
  mask.masked = mask.unmasked < RoundUp(mask.visible, kernels.tile_rows);
  if (!mask.masked) return;
  for (int64_t i = 0; i < width; ++i) mask.limits[i] = static_cast<int32_t>(seen_by(begin + i) - 1);
  for (int j = 0; j < vectors; ++j) {
    const int64_t last_limit = mask.limits[(j + 1) * kernels.lanes - 1];
    mask.vector_keys[j] =
        static_cast<int32_t>(std::min(RoundUp(last_limit + 1, kernels.tile_rows), mask.visible));
  }
}

void InputRows(const ConstTensorView& view, const ColumnTile& tile, int64_t begin, int64_t width,
               const void** rows) {
  for (int64_t i = 0; i < width; ++i) {
    const int64_t column = begin + i;
    rows[i] = column < tile.columns() ? RowAddress(view, tile.batch, tile.Head(column), tile.LocalRow(column))
                                      : nullptr;
  }
}

void OutputRows(const TensorView& view, const ColumnTile& tile, int64_t begin, int64_t width, float** rows) {
  for (int64_t i = 0; i < width; ++i) {
    const int64_t column = begin + i;
    rows[i] = column < tile.columns() ? view.Row<float>(tile.batch, tile.Head(column), tile.LocalRow(column))
                                      : nullptr;
  }
}

}  // namespace attention
