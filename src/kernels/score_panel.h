// The three phases of exact softmax on one block of columns of one head, whose scores against all visible
// keys lie in one *panel*: [visible keys of all segments, in order][W].
#ifndef SRC_KERNELS_SCORE_PANEL_H_
#define SRC_KERNELS_SCORE_PANEL_H_

#include <cstdint>

#include "src/attention/attention_backend.h"
#include "src/kernels/layout/column_tile.h"
#include "src/kernels/layout/packed_values.h"
#include "src/kernels/simd/tile_kernels.h"
#include "src/kernels/threads/progress_meter.h"

namespace attention {

// Where a block's numbers are.
struct ScorePanel {
  float* scores = nullptr;   // [keys][W]
  float* maximum = nullptr;  // [block_columns]
  float* sum = nullptr;      // [block_columns]
};

// One thread's scratch.
struct PanelScratch {
  float* q = nullptr;        // [padded head_dim][block_columns]
  float* o = nullptr;        // the same
  float* factors = nullptr;  // [block_columns], as the next two
  float* ones = nullptr;
  float* flags = nullptr;
};

class PanelPhases {
 public:
  PanelPhases(const BackendConfig& config, const TileKernels& kernels, const TileSizes& tiles);

  const PackedValues& values() const { return values_; }
  // Floats of a panel that sees every key.
  int64_t panel_size() const;
  int64_t padded_head_dim() const { return padded_head_dim_; }

  // tile: one head, at most block_columns rows.
  void Scores(const AttentionStep& step, const ColumnTile& tile, int64_t kv_head, ProgressMeter& meter,
              const PanelScratch& scratch, const ScorePanel& panel) const;
  void Softmax(const AttentionStep& step, const ColumnTile& tile, ProgressMeter& meter,
               const ScorePanel& panel) const;
  void Output(const AttentionStep& step, const ColumnTile& tile, std::byte* values, ProgressMeter& meter,
              const PanelScratch& scratch, const ScorePanel& panel) const;

 private:
  // Read and written: rows and their transposed columns.
  double BlockBytes(int64_t width) const {
    return 2.0 * sizeof(float) * static_cast<double>(width * config_.head_dim);
  }
  int Vectors(const ColumnTile& tile) const;
  // function(shard, keys of the chunk, first key's row in the panel, first key's row in `values`), in order.
  template <typename Function>
  void ForEachChunk(const AttentionStep& step, const ColumnTile& tile, Function function) const;

  const BackendConfig& config_;
  const TileKernels& kernels_;
  int64_t keys_per_chunk_;
  int64_t padded_head_dim_;
  PackedValues values_;
};

}  // namespace attention

#endif  // SRC_KERNELS_SCORE_PANEL_H_
