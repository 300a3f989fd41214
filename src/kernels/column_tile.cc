#include "src/kernels/column_tile.h"

#include <algorithm>

namespace attention {

BlockMask MaskOfBlock(const ColumnTile& tile, bool causal, int64_t begin, int64_t end, int64_t key_begin,
                      int64_t keys) {
  return {VisibleKeys(causal, tile.Position(end - 1), key_begin, keys),
          VisibleKeys(causal, tile.Position(begin), key_begin, keys)};
}

void FillLimits(const ColumnTile& tile, bool causal, int64_t begin, int64_t end, int64_t width,
                int64_t key_begin, int64_t keys, int32_t* limits) {
  for (int64_t i = 0; i < width; ++i) {
    const int64_t column = std::min(begin + i, end - 1);
    limits[i] = static_cast<int32_t>(VisibleKeys(causal, tile.Position(column), key_begin, keys) - 1);
  }
}

}  // namespace attention
