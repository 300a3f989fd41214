#include "src/kernels/score_panel.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "src/attention/row_state.h"
#include "src/kernels/layout/step_layout.h"
#include "src/kernels/layout/tile_sizes.h"
#include "src/kernels/row_repair.h"

namespace attention {

PanelPhases::PanelPhases(const BackendConfig& config, const TileKernels& kernels, const TileSizes& tiles)
    : config_(config),
      kernels_(kernels),
      keys_per_chunk_(tiles.kv_block),
      padded_head_dim_(RoundUp(config.head_dim, kernels.tile_rows)),
      values_(config, kernels, tiles.kv_block) {}

int64_t PanelPhases::panel_size() const {
  return RoundUp(config_.max_kv_tokens + kernels_.tile_rows, kernels_.tile_rows) * kernels_.block_columns();
}

int PanelPhases::Vectors(const ColumnTile& tile) const {
  return static_cast<int>(CeilDivide(tile.columns(), kernels_.lanes));
}

template <typename Function>
void PanelPhases::ForEachChunk(const AttentionStep& step, const ColumnTile& tile, Function function) const {
  int64_t panel_row = 0, values_row = 0;
  for (const KeyValueShard& shard : step.key_values) {
    for (const TokenSegment& segment : shard.segments) {
      values_row = values_.NextSegment(values_row);
      const KeyRange seen = config_.mask.VisibleToAny(tile.first_position(), tile.last_position(),
                                                      segment.global_begin, segment.length);
      const int64_t first = seen.begin / kernels_.key_granule * kernels_.key_granule;
      for (int64_t begin = first; begin < seen.end; begin += keys_per_chunk_) {
        const TokenSegment keys{segment.local_begin + begin, segment.global_begin + begin,
                                std::min(keys_per_chunk_, seen.end - begin)};
        function(shard, keys, panel_row + begin - first, values_row + begin);
      }
      panel_row += seen.end - first;
      values_row += segment.length;
    }
  }
}

void PanelPhases::Scores(const AttentionStep& step, const ColumnTile& tile, int64_t kv_head,
                         ProgressMeter& meter, const PanelScratch& scratch, const ScorePanel& panel) const {
  const int vectors = Vectors(tile);
  const int64_t width = static_cast<int64_t>(vectors) * kernels_.lanes;
  meter.BeforeBytes(BlockBytes(width));
  std::array<const void*, kMaxBlockColumns> rows;
  InputRows(step.query.q, tile, 0, width + kernels_.lanes, rows.data());
  kernels_.pack_queries(rows.data(), config_.head_dim, vectors, Base2Scale(config_), scratch.q);
  std::fill_n(panel.maximum, width, Base2Row::kEmpty);
  ForEachChunk(step, tile,
               [&](const KeyValueShard& shard, const TokenSegment& keys, int64_t panel_row, int64_t) {
                 BlockMask mask;
                 MaskBlock(tile, config_.mask, 0, vectors, kernels_, keys.global_begin, keys.length, mask);
                 meter.BeforeFlops(2.0 * static_cast<double>(keys.length * width * config_.head_dim));
                 // The last tile's rows past the end are overwritten by the next chunk.
                 kernels_.scores({.k = RowAddress(shard.k, tile.batch, kv_head, keys.local_begin),
                                  .k_stride = shard.k.token_stride,
                                  .keys = keys.length,
                                  .unmasked_begin = mask.unmasked_begin,
                                  .unmasked_end = mask.unmasked_end,
                                  .limits = mask.limits,
                                  .first_keys = mask.first_keys_or_null(),
                                  .vector_keys = mask.vector_keys_or_null(),
                                  .q = scratch.q,
                                  .scale = Base2Scale(config_),
                                  .head_dim = config_.head_dim,
                                  .vectors = vectors,
                                  .scores = panel.scores + panel_row * width,
                                  .maximum = panel.maximum});
               });
}

void PanelPhases::Softmax(const AttentionStep& step, const ColumnTile& tile, ProgressMeter& meter,
                          const ScorePanel& panel) const {
  const int vectors = Vectors(tile);
  const int64_t width = static_cast<int64_t>(vectors) * kernels_.lanes;
  std::fill_n(panel.sum, width, 0.0f);
  ForEachChunk(step, tile, [&](const KeyValueShard&, const TokenSegment& keys, int64_t panel_row, int64_t) {
    BlockMask mask;
    MaskBlock(tile, config_.mask, 0, vectors, kernels_, keys.global_begin, keys.length, mask);
    meter.BeforeFlops(kFlopsPerExponential * static_cast<double>(keys.length * width));
    kernels_.exponentials({.scores = panel.scores + panel_row * width,
                           .keys = keys.length,
                           .vector_keys = mask.vector_keys_or_null(),
                           .vectors = vectors,
                           .maximum = panel.maximum,
                           .sum = panel.sum});
  });
}

void PanelPhases::Output(const AttentionStep& step, const ColumnTile& tile, std::byte* values,
                         ProgressMeter& meter, const PanelScratch& scratch, const ScorePanel& panel) const {
  const int vectors = Vectors(tile);
  const int64_t width = static_cast<int64_t>(vectors) * kernels_.lanes;
  std::fill_n(scratch.o, padded_head_dim_ * width, 0.0f);
  std::fill_n(scratch.ones, width, 1.0f);
  ForEachChunk(step, tile,
               [&](const KeyValueShard&, const TokenSegment& keys, int64_t panel_row, int64_t values_row) {
                 BlockMask mask;
                 MaskBlock(tile, config_.mask, 0, vectors, kernels_, keys.global_begin, keys.length, mask);
                 meter.BeforeFlops(2.0 * static_cast<double>(keys.length * width * config_.head_dim));
                 kernels_.weighted_sum({.scores = panel.scores + panel_row * width,
                                        .keys = keys.length,
                                        .vector_keys = mask.vector_keys_or_null(),
                                        .values = values_.At(values, values_row),
                                        .panel_stride = values_.stride(),
                                        .head_dim = config_.head_dim,
                                        .vectors = vectors,
                                        .rescale = scratch.ones,
                                        .o = scratch.o});
               });
  meter.BeforeBytes(BlockBytes(width));
  std::array<float*, kMaxBlockColumns> rows;
  OutputRows(step.output, tile, 0, width, rows.data());
  kernels_.flag_non_finite(scratch.o, config_.head_dim, vectors, panel.sum, scratch.flags);
  for (int64_t c = 0; c < width; ++c) {
    scratch.factors[c] = Base2Row::FinishFactor(panel.sum[c]);
    if (std::isnan(scratch.flags[c])) rows[c] = nullptr;
  }
  kernels_.unpack_columns(scratch.o, config_.head_dim, vectors, scratch.factors, rows.data(), true);
  for (int64_t c = 0; c < tile.columns(); ++c) {
    if (rows[c] == nullptr) {
      RepairRow(config_, step, tile.batch, tile.Head(c), tile.LocalRow(c), tile.Position(c), meter);
    }
  }
}

}  // namespace attention
