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
  int64_t first_position() const { return rows.global_begin; }
  int64_t last_position() const { return rows.global_begin + rows.rows - 1; }
};

// Which keys of a run a block of columns sees, and where single columns see fewer than the block does.
struct BlockMask {
  int64_t begin = 0;           // place in the run of the first key to compute, a multiple of key_granule
  int64_t visible = 0;         // keys from there to the last one that some column sees; 0: none
  int64_t unmasked_begin = 0;  // keys [unmasked_begin, unmasked_end) from there every column sees
  int64_t unmasked_end = 0;
  // See ScoreArguments; filled only where some column does not see all of `visible`, or where `visible` does
  // not fill its last tile.
  bool masked = false;
  bool hides_first_keys = false;  // some column does not see the first of them
  alignas(64) int32_t limits[kMaxBlockColumns];
  alignas(64) int32_t first_keys[kMaxBlockColumns];
  int32_t vector_keys[kMaxBlockVectors];

  const int32_t* first_keys_or_null() const { return hides_first_keys ? first_keys : nullptr; }
  const int32_t* vector_keys_or_null() const { return masked ? vector_keys : nullptr; }
};

// A block: `vectors` vectors of columns from `begin` on; columns beyond the tile count as its last one. The
// run: `keys` keys, the first one at global position key_begin.
void MaskBlock(const ColumnTile& tile, const Mask& mask, int64_t begin, int vectors,
               const TileKernels& kernels, int64_t key_begin, int64_t keys, BlockMask& block);

// rows[i] = address of column begin + i's row in the view, null for i beyond the tile; i in [0, width).
void InputRows(const ConstTensorView& view, const ColumnTile& tile, int64_t begin, int64_t width,
               const void** rows);
// The same of a float32 tensor that is written.
void OutputRows(const TensorView& view, const ColumnTile& tile, int64_t begin, int64_t width, float** rows);

}  // namespace attention

#endif  // SRC_KERNELS_LAYOUT_COLUMN_TILE_H_
