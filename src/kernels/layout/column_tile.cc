#include "src/kernels/layout/column_tile.h"

#include <algorithm>

namespace attention {

void MaskBlock(const ColumnTile& tile, const Mask& mask, int64_t begin, int vectors,
               const TileKernels& kernels, int64_t key_begin, int64_t keys, BlockMask& block) {
  const int64_t width = static_cast<int64_t>(vectors) * kernels.lanes;
  const int64_t first = tile.Position(begin);
  const int64_t last = tile.Position(std::min(begin + width, tile.columns()) - 1);
  const KeyRange seen = mask.VisibleToAny(first, last, key_begin, keys);
  const KeyRange by_all = mask.VisibleToAll(first, last, key_begin, keys);
  block.begin = seen.begin / kernels.key_granule * kernels.key_granule;
  block.visible = seen.end - block.begin;
  block.unmasked_begin = std::max<int64_t>(0, by_all.begin - block.begin);
  block.unmasked_end = by_all.end - block.begin;
  block.hides_first_keys = mask.Visible(last).begin - key_begin > block.begin;
  block.masked = block.hides_first_keys || block.unmasked_end < RoundUp(block.visible, kernels.tile_rows);
  if (!block.masked || block.visible <= 0) return;
  const int64_t origin = key_begin + block.begin;
  for (int64_t i = 0; i < width; ++i) {
    const KeyRange range = mask.Visible(tile.Position(std::min(begin + i, tile.columns() - 1)));
    block.limits[i] = static_cast<int32_t>(std::clamp<int64_t>(range.end - origin, 0, block.visible) - 1);
    block.first_keys[i] = static_cast<int32_t>(std::clamp<int64_t>(range.begin - origin, 0, block.visible));
  }
  for (int j = 0; j < vectors; ++j) {
    const int64_t last_limit = block.limits[(j + 1) * kernels.lanes - 1];
    block.vector_keys[j] =
        static_cast<int32_t>(std::min(RoundUp(last_limit + 1, kernels.tile_rows), block.visible));
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
