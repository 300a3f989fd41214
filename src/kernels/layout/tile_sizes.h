// Tile sizes from the machine's caches, per algorithm; the config's own sizes win, but a tile of keys is
// never so long that one of its products would keep progress waiting (progress_meter.h).
#ifndef SRC_KERNELS_LAYOUT_TILE_SIZES_H_
#define SRC_KERNELS_LAYOUT_TILE_SIZES_H_

#include <cstdint>

#include "src/attention/attention_backend.h"
#include "src/kernels/simd/tile_kernels.h"

namespace attention {

// largest_group: query heads that share a tile.
TileSizes OnlineSoftmaxTiles(const BackendConfig& config, const TileKernels& kernels, int64_t largest_group);
TileSizes StandardTiles(const BackendConfig& config, const TileKernels& kernels);
TileSizes RowBlockedTiles(const BackendConfig& config, const TileKernels& kernels);

// Elements from one panel of packed values to the next: an odd number of cache lines, so that one key's
// places in all panels fall into different cache sets.
int64_t PanelStride(int64_t keys, const TileKernels& kernels);

}  // namespace attention

#endif  // SRC_KERNELS_LAYOUT_TILE_SIZES_H_
