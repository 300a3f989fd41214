#include "src/kernels/layout/tile_sizes.h"

#include <algorithm>

#include "src/kernels/layout/step_layout.h"
#include "src/kernels/threads/progress_meter.h"
#include "src/machine/cache_sizes.h"

namespace attention {
namespace {

// Keys whose scores for one block of columns fill an eighth of L2, from where both products stream them; o is
// loaded and stored once per so many keys.
int64_t KeysPerBlock(const TileKernels& kernels) {
  const int64_t keys = ReadCacheSizes().l2_bytes / 8 / (kernels.block_columns() * 4);
  return std::clamp<int64_t>(keys / 32 * 32, 32, 512);
}

// No more than there are, and no more than leaves progress its turn.
int64_t BoundKeys(int64_t keys, const BackendConfig& config, const TileKernels& kernels) {
  const int64_t piece = KeysPerPiece(config.isa, kernels.block_columns(), config.head_dim) / 32 * 32;
  const int64_t bounded = std::min({keys, std::max<int64_t>(1, config.max_kv_tokens), piece});
  return RoundUp(bounded, kernels.key_granule);
}

}  // namespace

TileSizes OnlineSoftmaxTiles(const BackendConfig& config, const TileKernels& kernels, int64_t largest_group) {
  TileSizes tiles = config.tiles;
  if (tiles.kv_block == 0) tiles.kv_block = KeysPerBlock(kernels);
  if (tiles.q_block == 0) {
    // Q and O of the tile in a third of L2, whole blocks of columns.
    const int64_t columns = ReadCacheSizes().l2_bytes / 3 / (8 * config.head_dim);
    const int64_t blocks = std::clamp<int64_t>(columns / kernels.block_columns(), 1, 8);
    tiles.q_block = std::max<int64_t>(1, blocks * kernels.block_columns() / largest_group);
  }
  tiles.q_block = std::min(tiles.q_block, std::max<int64_t>(1, config.max_query_tokens));
  tiles.kv_block = BoundKeys(tiles.kv_block, config, kernels);
  return tiles;
}

// The exact algorithms keep all scores of a row; kv_block is the depth of one product of weights and values.
TileSizes StandardTiles(const BackendConfig& config, const TileKernels& kernels) {
  TileSizes tiles = config.tiles;
  if (tiles.kv_block == 0) tiles.kv_block = KeysPerBlock(kernels);
  tiles.q_block = tiles.q_block == 0 ? kernels.block_columns()
                                     : std::min<int64_t>(tiles.q_block, kernels.block_columns());
  tiles.kv_block = BoundKeys(tiles.kv_block, config, kernels);
  tiles.q_block = std::min(tiles.q_block, std::max<int64_t>(1, config.max_query_tokens));
  return tiles;
}

TileSizes RowBlockedTiles(const BackendConfig& config, const TileKernels& kernels) {
  return StandardTiles(config, kernels);
}

int64_t PanelStride(int64_t keys, const TileKernels& kernels) {
  const int64_t line = 64 / kernels.packed_bytes;
  return (CeilDivide(keys * kernels.tile_rows, line) | 1) * line;
}

}  // namespace attention
