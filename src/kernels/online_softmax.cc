// Loops: (batch, KV head) -> tile of query columns -> tile of keys -> block of columns:
//   S^T = K Q^T, new maximum, P = 2^(S - m), O^T = O^T * rescale + V^T P^T.
//
// A tile's columns are q_block rows of all query heads that share the KV head, so K and V are read, and V is
// packed, once for the whole group. For head_dim D, a block of W columns and a tile of B keys:
//   FLOPs            4 B W D, of them exponentials: B W, about 1/40 of the time at D = 128
//   L1               Q block 4 D W (24 KB for D = 128, W = 48), or scores 4 B W (36 KB for B = 192) plus one
//                    panel of V; O 4 D W streams through once per tile of keys
//   L2               K and packed V tile 8 B D (192 KB), Q and O of the whole tile 8 D * columns
//   memory           K and V once per tile of columns: 8 S D bytes per 4 S D * columns FLOPs, 1/192 byte per
//                    FLOP for 384 columns, far below what any memory delivers
// Tiles are dealt to threads one by one, expensive ones (late rows under a causal mask) first.
#include "src/kernels/online_softmax.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "src/base/aligned_buffer.h"
#include "src/base/error.h"
#include "src/kernels/cache_sizes.h"
#include "src/kernels/column_tile.h"
#include "src/kernels/row_repair.h"
#include "src/kernels/step_layout.h"
#include "src/kernels/tile_kernels.h"
#include "src/kernels/tile_sizes.h"
#include "src/kernels/workspace.h"

namespace attention {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// One thread's memory.
struct Worker {
  float* q = nullptr;
  float* o = nullptr;
  float* m = nullptr;
  float* l = nullptr;
  float* scores = nullptr;
  float* values = nullptr;
  float* new_m = nullptr;  // [W], as the next two
  float* rescale = nullptr;
  float* flags = nullptr;
  int32_t* limits = nullptr;
};

class OnlineSoftmax : public AttentionBackend {
 public:
  explicit OnlineSoftmax(const BackendConfig& config)
      : config_(config),
        kernels_(GetTileKernels(config.isa)),
        groups_(MakeHeadGroups(config)),
        tiles_(OnlineSoftmaxTiles(config, kernels_, LargestGroup(groups_))),
        tile_columns_(RoundUp(tiles_.q_block * LargestGroup(groups_), kernels_.block_columns())),
        padded_head_dim_(RoundUp(config.head_dim, kernels_.tile_rows)),
        panel_stride_(PanelStride(tiles_.kv_block, kernels_.tile_rows)),
        workers_(config.threads) {
    Workspace sizes;
    LayOut(sizes);
    workspace_ = AlignedBuffer(sizes.bytes());
    Workspace places(workspace_.data());
    LayOut(places);
  }

  std::string name() const override { return "highway"; }
  size_t workspace_bytes() const override { return workspace_.size_bytes(); }
  TileSizes tiles() const override { return tiles_; }

  void Accumulate(const AttentionStep& step) override {
    CheckStep(config_, step);
    const int64_t blocks = CountRowBlocks(step.query.segments, tiles_.q_block);
    const int64_t groups = static_cast<int64_t>(groups_.size());
    const int64_t tiles = config_.batch * groups * blocks;
    std::atomic<int64_t> next{0};
#pragma omp parallel num_threads(config_.threads) if (config_.threads > 1)
    {
      Worker& worker = workers_[omp_get_thread_num()];
      const Progress progress = omp_get_thread_num() == 0 ? step.progress : Progress{};
      for (int64_t i = next++; i < tiles; i = next++) {
        const HeadGroup& group = groups_[i / blocks % groups];
        const int64_t block = config_.causal ? blocks - 1 - i % blocks : i % blocks;
        const ColumnTile tile{i / blocks / groups, group.first_head, group.heads,
                              GetRowBlock(step.query.segments, tiles_.q_block, block)};
        RunTile(step, tile, group.kv_head, progress, worker);
      }
    }
    step.progress();
  }

 private:
  void LayOut(Workspace& workspace) {
    const int64_t width = kernels_.block_columns();
    for (Worker& worker : workers_) {
      worker.q = workspace.Take<float>(padded_head_dim_ * tile_columns_);
      worker.o = workspace.Take<float>(padded_head_dim_ * tile_columns_);
      worker.m = workspace.Take<float>(tile_columns_);
      worker.l = workspace.Take<float>(tile_columns_);
      worker.scores = workspace.Take<float>(RoundUp(tiles_.kv_block, kernels_.tile_rows) * width);
      worker.values = workspace.Take<float>(padded_head_dim_ / kernels_.tile_rows * panel_stride_);
      worker.new_m = workspace.Take<float>(width);
      worker.rescale = workspace.Take<float>(width);
      worker.flags = workspace.Take<float>(width);
      worker.limits = workspace.Take<int32_t>(width);
    }
  }

  // A block of columns of a tile.
  struct Block {
    int64_t begin = 0;
    int64_t end = 0;
    int vectors = 0;
    int64_t width = 0;
  };
  Block GetBlock(const ColumnTile& tile, int64_t begin) const {
    Block block{begin, std::min<int64_t>(begin + kernels_.block_columns(), tile.columns()), 0, 0};
    block.vectors = static_cast<int>(CeilDivide(block.end - block.begin, kernels_.lanes));
    block.width = static_cast<int64_t>(block.vectors) * kernels_.lanes;
    return block;
  }

  void RunTile(const AttentionStep& step, const ColumnTile& tile, int64_t kv_head, const Progress& progress,
               Worker& worker) {
    for (int64_t c = 0; c < tile.columns(); c += kernels_.block_columns()) {
      LoadBlock(step, tile, GetBlock(tile, c), worker);
    }
    for (const TokenSegment& segment : step.key_value.segments) {
      const int64_t seen =
          VisibleKeys(config_.causal, tile.last_position(), segment.global_begin, segment.length);
      for (int64_t begin = 0; begin < seen; begin += tiles_.kv_block) {
        const TokenSegment keys{segment.local_begin + begin, segment.global_begin + begin,
                                std::min(tiles_.kv_block, seen - begin)};
        kernels_.pack_values(step.key_value.v.Row<float>(tile.batch, kv_head, keys.local_begin),
                             step.key_value.v.token_stride, keys.length, config_.head_dim, panel_stride_,
                             worker.values);
        for (int64_t c = 0; c < tile.columns(); c += kernels_.block_columns()) {
          MeetKeys(step, tile, GetBlock(tile, c), kv_head, keys, worker);
          progress();
        }
      }
    }
    for (int64_t c = 0; c < tile.columns(); c += kernels_.block_columns()) {
      StoreBlock(step, tile, GetBlock(tile, c), worker);
    }
    progress();
  }

  // Transposed queries, and the state the block starts from.
  void LoadBlock(const AttentionStep& step, const ColumnTile& tile, const Block& block, Worker& worker) {
    std::array<const float*, kMaxBlockColumns> rows;
    ColumnRows(step.query.q, tile, block.begin, block.width, rows.data());
    const int64_t offset = block.begin * padded_head_dim_;
    kernels_.pack_columns(rows.data(), config_.head_dim, block.vectors, Base2Scale(config_),
                          worker.q + offset);
    if (step.first) {
      std::fill_n(worker.m + block.begin, block.width, kMinusInfinity);
      std::fill_n(worker.l + block.begin, block.width, 0.0f);
      std::fill_n(worker.o + offset, padded_head_dim_ * block.width, 0.0f);
      return;
    }
    ColumnRows(step.state.o, tile, block.begin, block.width, rows.data());
    kernels_.pack_columns(rows.data(), config_.head_dim, block.vectors, 1.0f, worker.o + offset);
    for (int64_t c = block.begin; c < block.begin + block.width; ++c) {
      if (c < block.end) {
        const int64_t index = step.state.RowIndex(tile.batch, tile.Head(c), tile.LocalRow(c));
        worker.m[c] = step.state.m[index] * std::numbers::log2e_v<float>;
        worker.l[c] = step.state.l[index];
      } else {
        worker.m[c] = kMinusInfinity;
        worker.l[c] = 0.0f;
      }
    }
  }

  void MeetKeys(const AttentionStep& step, const ColumnTile& tile, const Block& block, int64_t kv_head,
                const TokenSegment& keys, Worker& worker) {
    const BlockMask mask =
        MaskOfBlock(tile, config_.causal, block.begin, block.end, keys.global_begin, keys.length);
    if (mask.visible == 0) return;
    if (mask.unmasked < RoundUp(mask.visible, kernels_.tile_rows)) {
      FillLimits(tile, config_.causal, block.begin, block.end, block.width, keys.global_begin, mask.visible,
                 worker.limits);
    }
    const int64_t offset = block.begin * padded_head_dim_;
    float* m = worker.m + block.begin;
    float* l = worker.l + block.begin;
    std::copy_n(m, block.width, worker.new_m);
    kernels_.scores({.k = step.key_value.k.Row<float>(tile.batch, kv_head, keys.local_begin),
                     .k_stride = step.key_value.k.token_stride,
                     .keys = mask.visible,
                     .unmasked_keys = mask.unmasked,
                     .limits = worker.limits,
                     .q = worker.q + offset,
                     .head_dim = config_.head_dim,
                     .vectors = block.vectors,
                     .scores = worker.scores,
                     .maximum = worker.new_m});
    kernels_.move_maximum(block.vectors, worker.new_m, m, l, worker.rescale);
    kernels_.exponentials(worker.scores, mask.visible, block.vectors, m, l);
    kernels_.weighted_sum({.scores = worker.scores,
                           .keys = mask.visible,
                           .values = worker.values,
                           .panel_stride = panel_stride_,
                           .head_dim = config_.head_dim,
                           .vectors = block.vectors,
                           .rescale = worker.rescale,
                           .o = worker.o + offset});
  }

  // Output or state; rows that came out non-finite are repaired.
  void StoreBlock(const AttentionStep& step, const ColumnTile& tile, const Block& block, Worker& worker) {
    const float* o = worker.o + block.begin * padded_head_dim_;
    const float* l = worker.l + block.begin;
    std::array<float*, kMaxBlockColumns> rows;
    ColumnRows(step.last ? step.output : step.state.o, tile, block.begin, block.width, rows.data());
    kernels_.flag_non_finite(o, config_.head_dim, block.vectors, l, worker.flags);
    float* factors = worker.rescale;
    for (int64_t i = 0; i < block.width; ++i) {
      factors[i] = !step.last ? 1.0f : (l[i] == 0.0f ? 0.0f : 1.0f / l[i]);
      if (std::isnan(worker.flags[i])) rows[i] = nullptr;
    }
    kernels_.unpack_columns(o, config_.head_dim, block.vectors, factors, rows.data());
    for (int64_t c = block.begin; c < block.end; ++c) {
      const int64_t head = tile.Head(c), row = tile.LocalRow(c);
      if (rows[c - block.begin] == nullptr) {
        RepairRow(config_, step, tile.batch, head, row, tile.Position(c));
      } else if (!step.last) {
        const int64_t index = step.state.RowIndex(tile.batch, head, row);
        step.state.m[index] = worker.m[c] * std::numbers::ln2_v<float>;
        step.state.l[index] = l[c - block.begin];
      }
    }
  }

  BackendConfig config_;
  const TileKernels& kernels_;
  std::vector<HeadGroup> groups_;
  TileSizes tiles_;
  int64_t tile_columns_;
  int64_t padded_head_dim_;
  int64_t panel_stride_;
  std::vector<Worker> workers_;
  AlignedBuffer workspace_;
};

}  // namespace

std::unique_ptr<AttentionBackend> MakeOnlineSoftmax(const BackendConfig& config) {
  return std::make_unique<OnlineSoftmax>(config);
}

}  // namespace attention
