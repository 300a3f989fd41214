// For head_dim D and S keys and rows, per head: 4 S^2 D FLOPs.
//
// standard: the score matrix (4 S^2 bytes) is written once, read and written by the softmax, read once by the
// weighted sum: 16 S^2 bytes where it does not fit a cache, 1/(D/4) byte per FLOP (1/32 at D = 128). Above
// the size of the last cache that is memory traffic: the roofline predicts peak * bandwidth / (bandwidth +
// peak / 32) if nothing overlaps, and no loss if everything does.
// row_blocked: the same products, but q_block rows of scores (4 S q_block bytes) stay in L2 to S of some
// thousands.
// Both pack V once per KV head for all query heads of its group; K is read as it lies.

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "src/base/aligned_buffer.h"
#include "src/kernels/algorithms.h"
#include "src/kernels/layout/step_layout.h"
#include "src/kernels/layout/tile_sizes.h"
#include "src/kernels/layout/workspace.h"
#include "src/kernels/score_panel.h"
#include "src/kernels/simd/tile_kernels.h"
#include "src/kernels/threads/group_pipeline.h"
#include "src/kernels/threads/progress_meter.h"

namespace attention {
namespace {

class ExactSoftmax : public AttentionBackend {
 public:
  std::string name() const override { return "highway"; }
  size_t workspace_bytes() const override { return workspace_.size_bytes(); }
  TileSizes tiles() const override { return tiles_; }

 protected:
  ExactSoftmax(const BackendConfig& config, const TileKernels& kernels, const TileSizes& tiles)
      : config_(config),
        kernels_(kernels),
        groups_(MakeHeadGroups(config)),
        tiles_(tiles),
        phases_(config_, kernels_, tiles_),
        scratch_(config.threads),
        largest_group_(LargestGroup(groups_)),
        pipeline_(units()),
        values_(std::min(GroupPipeline::kBuffers, units())) {}

  // Scratch of every thread, packed values, and `panels` panels.
  void Allocate(int64_t panels) {
    panels_.resize(panels);
    Workspace sizes;
    LayOut(sizes);
    workspace_ = AlignedBuffer(sizes.bytes());
    Workspace places(workspace_.data());
    LayOut(places);
  }

  int64_t rows_per_block() const { return kernels_.block_columns(); }

  // Deals blocks of rows of one head after the other to threads, late rows first (they are the expensive ones
  // under a causal mask), V of the head's group packed before: compute(tile, KV head, packed V, thread,
  // meter). finish(packed V, thread, meter): after a thread's last block in a row of a group.
  template <typename Compute, typename Finish>
  void RunTiles(const AttentionStep& step, Compute compute, Finish finish) {
    CheckStep(config_, step);
    const RowBlocks blocks(step.query.segments, RowsPerTile(step), kernels_.lanes);
    const PackedValues& packed_values = phases_.values();
    packed_values.CheckRoom(step);
    const int64_t groups = static_cast<int64_t>(groups_.size());
    const PositionRange queries = PositionsOf(step.query);
    pipeline_.Reset(units(), packed_values.Chunks(step), blocks.count() * largest_group_);
#pragma omp parallel num_threads(config_.threads) if (config_.threads > 1)
    {
      const int thread = omp_get_thread_num();
      ProgressMeter meter(thread == 0 ? step.progress : Progress{}, config_.isa);
      pipeline_.Run(
          [&](int64_t unit, int64_t chunk, int64_t buffer) {
            meter.BeforeBytes(packed_values.BytesPerChunk());
            packed_values.Pack(step, unit / groups, groups_[unit % groups].kv_head, chunk, queries,
                               values_[buffer]);
          },
          [&](int64_t unit, int64_t index, int64_t buffer) {
            const HeadGroup& group = groups_[unit % groups];
            const int64_t head = index / blocks.count(), block = blocks.count() - 1 - index % blocks.count();
            if (head >= group.heads) return;
            compute(ColumnTile{unit / groups, group.first_head + head, 1, blocks.Get(block)}, group.kv_head,
                    values_[buffer], thread, meter);
          },
          [&](int64_t, int64_t buffer) { finish(values_[buffer], thread, meter); }, [&] { meter.Call(); });
      barrier_.Wait(omp_get_num_threads(), meter);
    }
    step.progress();
  }

  BackendConfig config_;
  const TileKernels kernels_;
  std::vector<HeadGroup> groups_;
  TileSizes tiles_;
  PanelPhases phases_;
  std::vector<PanelScratch> scratch_;
  std::vector<ScorePanel> panels_;

 private:
  int64_t RowsPerTile(const AttentionStep& step) const {
    if (config_.tiles.q_block > 0) return tiles_.q_block;
    return RowsPerBlock(CountTokens(step.query.segments), config_.batch * config_.query_heads,
                        rows_per_block(), kernels_.lanes, config_.threads);
  }
  int64_t units() const { return config_.batch * static_cast<int64_t>(groups_.size()); }
  void LayOut(Workspace& workspace) {
    const int64_t width = kernels_.block_columns();
    for (PanelScratch& scratch : scratch_) {
      scratch.q = workspace.Take<float>(phases_.padded_head_dim() * width);
      scratch.o = workspace.Take<float>(phases_.padded_head_dim() * width);
      scratch.factors = workspace.Take<float>(width);
      scratch.ones = workspace.Take<float>(width);
      scratch.flags = workspace.Take<float>(width);
    }
    for (std::byte*& values : values_) values = workspace.Take<std::byte>(phases_.values().size());
    for (ScorePanel& panel : panels_) {
      panel.maximum = workspace.Take<float>(width);
      panel.sum = workspace.Take<float>(width);
      panel.scores = workspace.Take<float>(phases_.panel_size());
    }
  }

  int64_t largest_group_;
  GroupPipeline pipeline_;
  std::vector<std::byte*> values_;  // buffers of the pipeline
  PollingBarrier barrier_;
  AlignedBuffer workspace_;
};

// The score matrix of a head is shared out to threads by blocks of rows, to each into panels of its own. No
// row needs another's scores: a thread takes the blocks it was given through all three phases, its part of
// the matrix after its part, and goes on with the next head without waiting for anybody. A thread that was
// given more than its share takes what its panels hold through the phases first.
class Standard : public ExactSoftmax {
 public:
  Standard(const BackendConfig& config, const TileKernels& kernels)
      : ExactSoftmax(config, kernels, StandardTiles(config, kernels)),
        panels_per_thread_(PanelsPerThread(CeilDivide(config.max_query_tokens, rows_per_block()))) {
    Allocate(panels_per_thread_ * config.threads);
    shares_.resize(config.threads);
    for (Share& share : shares_) share.tiles.reserve(panels_per_thread_);
  }

  void Accumulate(const AttentionStep& step) override {
    RunTiles(
        step,
        [&](const ColumnTile& tile, int64_t kv_head, std::byte* values, int thread, ProgressMeter& meter) {
          Share& share = shares_[thread];
          const bool is_other_head = share.tiles.empty() || share.tiles.back().head_begin != tile.head_begin;
          if (is_other_head || share.tiles.size() == static_cast<size_t>(panels_per_thread_)) {
            FinishShare(step, share, values, thread, meter);
          }
          share.tiles.push_back(tile);
          phases_.Scores(step, tile, kv_head, meter, scratch_[thread], Panel(share, thread, Last(share)));
        },
        [&](std::byte* values, int thread, ProgressMeter& meter) {
          FinishShare(step, shares_[thread], values, thread, meter);
        });
  }

 private:
  // Its share, and one more, as threads are not always equally fast.
  int64_t PanelsPerThread(int64_t blocks) const {
    const int64_t threads = config_.threads, share = std::max<int64_t>(1, CeilDivide(blocks, threads));
    return share + (threads > 1 && blocks > threads ? 1 : 0);
  }

  struct Share {
    std::vector<ColumnTile> tiles;  // of one head, in the order in which they were given
    size_t used_before = 0;         // panels, by the share before it
    bool backwards = false;
  };
  static size_t Last(const Share& share) { return share.tiles.size() - 1; }

  // Every other share begins with the panel that was used last: it is still in a cache when the matrix is
  // not.
  const ScorePanel& Panel(const Share& share, int thread, size_t index) const {
    const bool is_reversed = share.backwards && index < share.used_before;
    const size_t place = is_reversed ? share.used_before - 1 - index : index;
    return panels_[static_cast<size_t>(thread * panels_per_thread_) + place];
  }

  // The softmax passes over the scores from the end where they were written last, the output forwards again.
  void FinishShare(const AttentionStep& step, Share& share, std::byte* values, int thread,
                   ProgressMeter& meter) {
    if (share.tiles.empty()) return;
    for (size_t i = share.tiles.size(); i-- > 0;) {
      phases_.Softmax(step, share.tiles[i], meter, Panel(share, thread, i));
    }
    for (size_t i = 0; i < share.tiles.size(); ++i) {
      phases_.Output(step, share.tiles[i], values, meter, scratch_[thread], Panel(share, thread, i));
    }
    share.used_before = share.tiles.size();
    share.backwards = !share.backwards;
    share.tiles.clear();
  }

  int64_t panels_per_thread_;
  std::vector<Share> shares_;  // by thread
};

class RowBlocked : public ExactSoftmax {
 public:
  RowBlocked(const BackendConfig& config, const TileKernels& kernels)
      : ExactSoftmax(config, kernels, RowBlockedTiles(config, kernels)) {
    Allocate(config.threads);
  }

  void Accumulate(const AttentionStep& step) override {
    RunTiles(
        step,
        [&](const ColumnTile& tile, int64_t kv_head, std::byte* values, int thread, ProgressMeter& meter) {
          phases_.Scores(step, tile, kv_head, meter, scratch_[thread], panels_[thread]);
          phases_.Softmax(step, tile, meter, panels_[thread]);
          phases_.Output(step, tile, values, meter, scratch_[thread], panels_[thread]);
        },
        [](std::byte*, int, ProgressMeter&) {});
  }
};

}  // namespace

std::unique_ptr<AttentionBackend> MakeStandard(const BackendConfig& config, const TileKernels& kernels) {
  return std::make_unique<Standard>(config, kernels);
}

std::unique_ptr<AttentionBackend> MakeRowBlocked(const BackendConfig& config, const TileKernels& kernels) {
  return std::make_unique<RowBlocked>(config, kernels);
}

}  // namespace attention
