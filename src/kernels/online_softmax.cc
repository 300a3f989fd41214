// Loops: (batch, KV head) -> tile of query columns -> tile of keys -> block of columns:
//   S^T = K Q^T, new maximum, P = 2^(S - m), O^T = O^T * rescale + V^T P^T.
//
// A tile's columns are q_block rows of all query heads that share the KV head, so K is read once for the
// whole group. V is packed into panels once per (batch, KV head), in a pipeline that needs no barrier
// (group_pipeline.h): panels make the broadcasts of V^T P^T contiguous, where rows of V, 4 D bytes apart,
// would crowd into few sets of L1. For head_dim D, a block of W columns and a tile of T keys:
//   FLOPs            4 T W D, and T W exponentials, about 1/40 of the time at D = 128
//   L1               Q block 4 D W (24 KB for D = 128, W = 48), or a panel of V, 32 T (16 KB for T = 512);
//                    W scores stream out to L2, or in, per step of the inner loops
//   L2               scores 4 T W (96 KB), K and packed V tile 8 T D (512 KB), Q and O of the whole tile
//                    8 D * columns; O 4 D W streams through once per tile of keys
//   memory           K and packed V once per tile of columns: 8 S D bytes per 4 S D * columns FLOPs: at 336
//                    columns 1/168 byte per FLOP, far below what any memory delivers; packing V adds 12 S D
//                    bytes per KV head, once
// Why these tiles (tile_sizes.cc): T as large as leaves a block's scores in an eighth of L2, because O is
// loaded and stored once per tile of keys (measured, AVX-512, interleaved, 512 to 4096 tokens, full and
// causal: 512 keys 0.3 to 0.9 points of the peak above 192, whose scores fit L1, in each of 8 cells; 384 in
// between); columns are as many as keep Q and O in a third of L2. Tiles go to threads one by one,
// expensive ones (late rows under a causal mask) first.

#include <omp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

#include "src/attention/row_state.h"
#include "src/base/aligned_buffer.h"
#include "src/kernels/algorithms.h"
#include "src/kernels/few_queries.h"
#include "src/kernels/layout/column_tile.h"
#include "src/kernels/layout/packed_values.h"
#include "src/kernels/layout/step_layout.h"
#include "src/kernels/layout/tile_sizes.h"
#include "src/kernels/layout/workspace.h"
#include "src/kernels/row_repair.h"
#include "src/kernels/simd/tile_kernels.h"
#include "src/kernels/threads/group_pipeline.h"
#include "src/kernels/threads/progress_meter.h"

namespace attention {
namespace {

// One thread's memory.
struct Worker {
  std::byte* q = nullptr;
  float* o = nullptr;
  float* m = nullptr;
  float* l = nullptr;
  float* scores = nullptr;
  float* new_m = nullptr;  // [W], as the next two
  float* rescale = nullptr;
  float* flags = nullptr;
  ProgressMeter meter;
};

class OnlineSoftmax : public AttentionBackend {
 public:
  OnlineSoftmax(const BackendConfig& config, const TileKernels& kernels)
      : config_(config),
        kernels_(kernels),
        groups_(MakeHeadGroups(config)),
        tiles_(OnlineSoftmaxTiles(config, kernels_, LargestGroup(groups_))),
        row_granule_(std::max<int64_t>(1, kernels_.block_columns() / LargestGroup(groups_))),
        tile_columns_(RoundUp(tiles_.q_block * LargestGroup(groups_), kernels_.block_columns())),
        padded_head_dim_(RoundUp(config.head_dim, kernels_.tile_rows)),
        packed_values_(config_, kernels_, tiles_.kv_block),
        pipeline_(config.batch * static_cast<int64_t>(groups_.size())),
        values_(std::min(GroupPipeline::kBuffers, config.batch * static_cast<int64_t>(groups_.size()))),
        few_queries_(config_, kernels_, groups_),
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
    if (few_queries_.Fits(step)) return few_queries_.Run(step);
    packed_values_.CheckRoom(step);
    const std::span<const HeadGroup> step_groups = GroupsOfStep(groups_, step);
    const int64_t groups = static_cast<int64_t>(step_groups.size());
    const RowBlocks blocks(step.query.segments, RowsPerTile(step), row_granule_);
    const PositionRange queries = PositionsOf(step.query);
    pipeline_.Reset(config_.batch * groups, packed_values_.Chunks(step), blocks.count());
#pragma omp parallel num_threads(config_.threads) if (config_.threads > 1)
    {
      Worker& worker = workers_[omp_get_thread_num()];
      worker.meter = ProgressMeter(omp_get_thread_num() == 0 ? step.progress : Progress{}, config_.isa);
      pipeline_.Run(
          [&](int64_t unit, int64_t chunk, int64_t buffer) {
            worker.meter.BeforeBytes(packed_values_.BytesPerChunk());
            packed_values_.Pack(step, unit / groups, step_groups[unit % groups].kv_head, chunk, queries,
                                values_[buffer]);
          },
          [&](int64_t unit, int64_t index, int64_t buffer) {
            const HeadGroup& group = step_groups[unit % groups];
            const ColumnTile tile{unit / groups, group.first_head, group.heads,
                                  blocks.Get(config_.mask.grows() ? blocks.count() - 1 - index : index)};
            RunTile(step, tile, group.kv_head, values_[buffer], 0, worker);
          },
          [&] { worker.meter.Call(); });
      barrier_.Wait(omp_get_num_threads(), worker.meter);
    }
    step.progress();
  }

 private:
  // The same whether a step is of all heads or of some: results must not depend on how a strategy cuts it.
  int64_t RowsPerTile(const AttentionStep& step) const {
    if (config_.tiles.q_block > 0) return tiles_.q_block;
    return RowsPerBlock(CountTokens(step.query.segments),
                        config_.batch * static_cast<int64_t>(groups_.size()), tiles_.q_block, row_granule_,
                        config_.threads);
  }

  void LayOut(Workspace& workspace) {
    few_queries_.LayOut(workspace);
    if (few_queries_.AlwaysFits()) return;
    const int64_t width = kernels_.block_columns();
    for (Worker& worker : workers_) {
      worker.q = workspace.Take<std::byte>(padded_head_dim_ * tile_columns_ * kernels_.packed_bytes);
      worker.o = workspace.Take<float>(padded_head_dim_ * tile_columns_);
      worker.m = workspace.Take<float>(tile_columns_);
      worker.l = workspace.Take<float>(tile_columns_);
      worker.scores = workspace.Take<float>(RoundUp(tiles_.kv_block, kernels_.tile_rows) * width);
      worker.new_m = workspace.Take<float>(width);
      worker.rescale = workspace.Take<float>(width);
      worker.flags = workspace.Take<float>(width);
    }
    for (std::byte*& values : values_) values = workspace.Take<std::byte>(packed_values_.size());
  }

  // A block of columns of a tile.
  struct Block {
    int64_t begin = 0;
    int64_t end = 0;
    int vectors = 0;
    int64_t width = 0;
  };
  // The tile's last columns: four vectors are taken as two and two, not as three and one (a single vector per
  // broadcast is bound by loads).
  Block GetBlock(const ColumnTile& tile, int64_t begin) const {
    const int64_t left = CeilDivide(tile.columns() - begin, kernels_.lanes);
    Block block;
    block.vectors = static_cast<int>(
        left == 4 && kernels_.tile_vectors == 3 ? 2 : std::min<int64_t>(left, kernels_.tile_vectors));
    block.width = static_cast<int64_t>(block.vectors) * kernels_.lanes;
    block.begin = begin;
    block.end = std::min(begin + block.width, tile.columns());
    return block;
  }
  template <typename Function>
  void ForEachBlock(const ColumnTile& tile, Function function) const {
    for (int64_t c = 0; c < tile.columns();) {
      const Block block = GetBlock(tile, c);
      function(block);
      c = block.end;
    }
  }

  // first_key: where the packed values of the step's first shard begin.
  void RunTile(const AttentionStep& step, const ColumnTile& tile, int64_t kv_head, std::byte* values,
               int64_t first_key, Worker& worker) {
    // A step of a ring may show some rows nothing: their state stays as it is.
    if (!step.first && !step.last && !SeesKeys(step.key_values, tile)) return;
    ForEachBlock(tile, [&](const Block& block) { LoadBlock(step, tile, block, worker); });
    bool fresh = step.first;  // no o yet
    int64_t key = first_key;
    for (size_t index = 0; index < step.key_values.size(); ++index) {
      // Between two steps the maximum would have been stored and loaded.
      if (index > 0 &&
          ((step.first && index == 1) || SeesKeys(step.key_values.subspan(index - 1, 1), tile))) {
        for (float& m : std::span(worker.m, tile_columns_)) m = Base2FromNatural(NaturalFromBase2(m));
      }
      AddShard(tile, step.key_values[index], kv_head, values, key, fresh, worker);
    }
    // What is repaired depends on where a step ends.
    if (step.key_values.size() > 1 && !fresh && IsNonFinite(tile, worker)) {
      return RunTileByShard(step, tile, kv_head, values, first_key, worker);
    }
    if (fresh) std::fill_n(worker.o, padded_head_dim_ * tile_columns_, 0.0f);
    ForEachBlock(tile, [&](const Block& block) { StoreBlock(step, tile, block, worker); });
  }

  void RunTileByShard(const AttentionStep& step, const ColumnTile& tile, int64_t kv_head, std::byte* values,
                      int64_t first_key, Worker& worker) {
    for (size_t index = 0; index < step.key_values.size(); ++index) {
      RunTile(step.OfShard(index), tile, kv_head, values, first_key, worker);
      for (const TokenSegment& segment : step.key_values[index].segments) {
        first_key = packed_values_.NextSegment(first_key) + segment.length;
      }
    }
  }

  bool IsNonFinite(const ColumnTile& tile, Worker& worker) {
    bool found = false;
    ForEachBlock(tile, [&](const Block& block) {
      kernels_.flag_non_finite(worker.o + block.begin * padded_head_dim_, config_.head_dim, block.vectors,
                               worker.l + block.begin, worker.flags);
      for (int64_t i = 0; i < block.end - block.begin; ++i) found = found || std::isnan(worker.flags[i]);
    });
    return found;
  }

  // segment_key: where the shard's packed values begin; moves on to their end.
  void AddShard(const ColumnTile& tile, const KeyValueShard& shard, int64_t kv_head, std::byte* values,
                int64_t& segment_key, bool& fresh, Worker& worker) {
    for (const TokenSegment& segment : shard.segments) {
      segment_key = packed_values_.NextSegment(segment_key);
      const KeyRange seen = VisibleKeys(segment, tile);
      for (int64_t begin = seen.begin; begin < seen.end; begin += tiles_.kv_block) {
        const TokenSegment keys{segment.local_begin + begin, segment.global_begin + begin,
                                std::min(tiles_.kv_block, seen.end - begin)};
        const std::byte* tile_values = packed_values_.At(values, segment_key + begin);
        ForEachBlock(tile, [&](const Block& block) {
          AddKeys(tile, block, shard.k, kv_head, keys, tile_values, fresh, worker);
        });
        fresh = false;
      }
      segment_key += segment.length;
    }
  }

  // Of a segment: from a key that packed values can begin with.
  KeyRange VisibleKeys(const TokenSegment& segment, const ColumnTile& tile) const {
    KeyRange seen = config_.mask.VisibleToAny(tile.first_position(), tile.last_position(),
                                              segment.global_begin, segment.length);
    seen.begin = seen.begin / kernels_.key_granule * kernels_.key_granule;
    return seen;
  }

  bool SeesKeys(std::span<const KeyValueShard> shards, const ColumnTile& tile) const {
    return std::ranges::any_of(shards, [&](const KeyValueShard& shard) {
      return std::ranges::any_of(shard.segments, [&](const TokenSegment& segment) {
        return !VisibleKeys(segment, tile).is_empty();
      });
    });
  }

  // Transposed queries, and the state the block starts from.
  void LoadBlock(const AttentionStep& step, const ColumnTile& tile, const Block& block, Worker& worker) {
    worker.meter.BeforeBytes(BlockBytes(block));
    std::array<const void*, kMaxBlockColumns> rows;
    InputRows(step.query.q, tile, block.begin, block.width + kernels_.lanes, rows.data());
    const int64_t offset = block.begin * padded_head_dim_;
    kernels_.pack_queries(rows.data(), config_.head_dim, block.vectors, Base2Scale(config_),
                          worker.q + offset * kernels_.packed_bytes);
    if (step.first) {
      std::fill_n(worker.m + block.begin, block.width, Base2Row::kEmpty);
      std::fill_n(worker.l + block.begin, block.width, 0.0f);
      return;  // the first weighted sum overwrites o
    }
    worker.meter.BeforeBytes(BlockBytes(block));
    InputRows(step.state.o, tile, block.begin, block.width + kernels_.lanes, rows.data());
    kernels_.pack_state(rows.data(), config_.head_dim, block.vectors, worker.o + offset);
    for (int64_t c = block.begin; c < block.begin + block.width; ++c) {
      if (c < block.end) {
        const int64_t index = step.state.RowIndex(tile.batch, tile.Head(c), tile.LocalRow(c));
        worker.m[c] = Base2FromNatural(step.state.m[index]);
        worker.l[c] = step.state.l[index];
      } else {
        worker.m[c] = Base2Row::kEmpty;
        worker.l[c] = 0.0f;
      }
    }
  }

  void AddKeys(const ColumnTile& tile, const Block& block, const ConstTensorView& k, int64_t kv_head,
               const TokenSegment& keys, const std::byte* values, bool fresh, Worker& worker) {
    BlockMask mask;
    MaskBlock(tile, config_.mask, block.begin, block.vectors, kernels_, keys.global_begin, keys.length, mask);
    if (mask.visible <= 0) {
      if (fresh) std::fill_n(worker.o + block.begin * padded_head_dim_, padded_head_dim_ * block.width, 0.0f);
      return;
    }
    const int64_t offset = block.begin * padded_head_dim_;
    float* m = worker.m + block.begin;
    float* l = worker.l + block.begin;
    std::copy_n(m, block.width, worker.new_m);
    const double scores = static_cast<double>(mask.visible * block.width);
    worker.meter.BeforeFlops(2 * scores * static_cast<double>(config_.head_dim));
    kernels_.scores({.k = RowAddress(k, tile.batch, kv_head, keys.local_begin + mask.begin),
                     .k_stride = k.token_stride,
                     .keys = mask.visible,
                     .unmasked_begin = mask.unmasked_begin,
                     .unmasked_end = mask.unmasked_end,
                     .limits = mask.limits,
                     .first_keys = mask.first_keys_or_null(),
                     .vector_keys = mask.vector_keys_or_null(),
                     .q = worker.q + offset * kernels_.packed_bytes,
                     .scale = Base2Scale(config_),
                     .head_dim = config_.head_dim,
                     .vectors = block.vectors,
                     .scores = worker.scores,
                     .maximum = worker.new_m});
    kernels_.move_maximum(block.vectors, worker.new_m, m, l, worker.rescale);
    worker.meter.BeforeFlops(kFlopsPerExponential * scores);
    kernels_.exponentials({.scores = worker.scores,
                           .keys = mask.visible,
                           .vector_keys = mask.vector_keys_or_null(),
                           .vectors = block.vectors,
                           .maximum = m,
                           .sum = l});
    worker.meter.BeforeFlops(2 * scores * static_cast<double>(config_.head_dim));
    kernels_.weighted_sum({.scores = worker.scores,
                           .keys = mask.visible,
                           .vector_keys = mask.vector_keys_or_null(),
                           .values = packed_values_.At(values, mask.begin),
                           .panel_stride = packed_values_.stride(),
                           .head_dim = config_.head_dim,
                           .vectors = block.vectors,
                           .rescale = fresh ? nullptr : worker.rescale,
                           .o = worker.o + offset});
  }

  // Read and written: rows and their transposed columns.
  double BlockBytes(const Block& block) const {
    return 2.0 * sizeof(float) * static_cast<double>(block.width * config_.head_dim);
  }

  // Output or state; rows that came out non-finite are repaired.
  void StoreBlock(const AttentionStep& step, const ColumnTile& tile, const Block& block, Worker& worker) {
    worker.meter.BeforeBytes(BlockBytes(block));
    const float* o = worker.o + block.begin * padded_head_dim_;
    const float* l = worker.l + block.begin;
    std::array<float*, kMaxBlockColumns> rows;
    OutputRows(step.last ? step.output : step.state.o, tile, block.begin, block.width, rows.data());
    kernels_.flag_non_finite(o, config_.head_dim, block.vectors, l, worker.flags);
    float* factors = worker.rescale;
    for (int64_t i = 0; i < block.width; ++i) {
      factors[i] = step.last ? Base2Row::FinishFactor(l[i]) : 1.0f;
      if (std::isnan(worker.flags[i])) rows[i] = nullptr;
    }
    kernels_.unpack_columns(o, config_.head_dim, block.vectors, factors, rows.data(),
                            step.first && step.last);
    for (int64_t c = block.begin; c < block.end; ++c) {
      const int64_t head = tile.Head(c), row = tile.LocalRow(c);
      if (rows[c - block.begin] == nullptr) {
        RepairRow(config_, step, tile.batch, head, row, tile.Position(c), worker.meter);
      } else if (!step.last) {
        const int64_t index = step.state.RowIndex(tile.batch, head, row);
        step.state.m[index] = NaturalFromBase2(worker.m[c]);
        step.state.l[index] = l[c - block.begin];
      }
    }
  }

  BackendConfig config_;
  const TileKernels kernels_;
  std::vector<HeadGroup> groups_;
  TileSizes tiles_;
  int64_t row_granule_;  // rows of one block of columns
  int64_t tile_columns_;
  int64_t padded_head_dim_;
  PackedValues packed_values_;
  GroupPipeline pipeline_;
  PollingBarrier barrier_;
  std::vector<std::byte*> values_;  // buffers of the pipeline
  FewQueries few_queries_;
  std::vector<Worker> workers_;
  AlignedBuffer workspace_;
};

}  // namespace

std::unique_ptr<AttentionBackend> MakeOnlineSoftmax(const BackendConfig& config, const TileKernels& kernels) {
  return std::make_unique<OnlineSoftmax>(config, kernels);
}

}  // namespace attention
