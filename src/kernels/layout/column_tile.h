// A tile of query columns: some rows of one batch entry, for one or more query heads of a group.
//
// Column c is row c / heads of head head_begin + c % heads: the heads of a row lie side by side, so positions
// rise along the columns and the causal diagonal of a block of columns stays narrow.
#ifndef SRC_KERNELS_LAYOUT_COLUMN_TILE_H_
#define SRC_KERNELS_LAYOUT_COLUMN_TILE_H_

#include <cstdint>

#include "src/base/tensor_view.h"
#include "src/kernels/layout/step_layout.h"
#include "src/kernels/simd/tile_kernels.h"

namespace attention {

struct ColumnTile {
  int64_t batch = 0;
  int64_t head_begin = 0;
  int64_t heads = 0;
  RowBlock rows;

  int64_t columns() const { return rows.rows * heads; }
  int64_t Head(int64_t column) const { return head_begin + column % heads; }
  int64_t LocalRow(int64_t column) const { return rows.local_begin + column / heads; }
  int64_t Position(int64_t column) const { return rows.global_begin + column / heads; }
  int64_t last_position() const { return rows.global_begin + rows.rows - 1; }
};

// Which of `keys` keys, the first one at global position key_begin, a block of columns sees.
struct BlockMask {
  int64_t visible = 0;   // leading keys that some column sees
  int64_t unmasked = 0;  // leading keys that every column sees
  // See ScoreArguments; filled only where some column does not see all of `visible`, or where `visible` does
  // not fill its last tile.
  bool masked = false;
  alignas(64) int32_t limits[kMaxBlockColumns];
  int32_t vector_keys[kMaxBlockVectors];

  const int32_t* vector_keys_or_null() const { return masked ? vector_keys : nullptr; }
};

// A block: `vectors` vectors of columns from `begin` on; columns beyond the tile count as its last one.
void MaskBlock(const ColumnTile& tile, bool causal, int64_t begin, int vectors, const TileKernels& kernels,
               int64_t key_begin, int64_t keys, BlockMask& mask);

// rows[i] = address of column begin + i's row in the view, null for i beyond the tile; i in [0, width).
void InputRows(const ConstTensorView& view, const ColumnTile& tile, int64_t begin, int64_t width,
               const void** rows);
// The same of a float32 tensor that is written.
void OutputRows(const TensorView& view, const ColumnTile& tile, int64_t begin, int64_t width, float** rows);

}  // namespace attention

#endif  // SRC_KERNELS_LAYOUT_COLUMN_TILE_H_
