// For head_dim D and S keys and rows, per head: 4 S^2 D FLOPs.
//
// standard: the score matrix (4 S^2 bytes) is written once, read and written by the softmax, read once by the
// weighted sum: 16 S^2 bytes where it does not fit a cache, 1/(D/4) byte per FLOP (1/32 at D = 128). Above
// the size of the last cache that is memory traffic: the roofline predicts peak * bandwidth / (bandwidth +
// peak / 32) if nothing overlaps, and no loss if everything does.
// row_blocked: the same products, but q_block rows of scores (4 S q_block bytes) stay in L2 to S of some
// thousands.
// Both pack V once per KV head for all query heads of its group; K is read as it lies.
#include "src/kernels/exact_softmax.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "src/base/aligned_buffer.h"
#include "src/kernels/group_pipeline.h"
#include "src/kernels/progress_meter.h"
#include "src/kernels/score_panel.h"
#include "src/kernels/step_layout.h"
#include "src/kernels/tile_kernels.h"
#include "src/kernels/tile_sizes.h"
#include "src/kernels/workspace.h"

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
        scratch_(config.threads) {}

  // Scratch of every thread, packed values of `kv_heads` KV heads, and `panels` panels.
  void Allocate(int64_t kv_heads, int64_t panels) {
    values_.resize(kv_heads);
    panels_.resize(panels);
    Workspace sizes;
    LayOut(sizes);
    workspace_ = AlignedBuffer(sizes.bytes());
    Workspace places(workspace_.data());
    LayOut(places);
  }

  int64_t rows_per_block() const { return kernels_.block_columns(); }

  ProgressMeter Meter(const AttentionStep& step) const {
    return {omp_get_thread_num() == 0 ? step.progress : Progress{}, config_.isa};
  }
  // The team waits for its last thread.
  void Meet(ProgressMeter& meter) { barrier_.Wait(omp_get_num_threads(), meter); }

  BackendConfig config_;
  const TileKernels kernels_;
  std::vector<HeadGroup> groups_;
  TileSizes tiles_;
  PanelPhases phases_;
  std::vector<PanelScratch> scratch_;
  std::vector<ScorePanel> panels_;
  std::vector<std::byte*> values_;
  PollingBarrier barrier_;

 private:
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

  AlignedBuffer workspace_;
};

class Standard : public ExactSoftmax {
 public:
  Standard(const BackendConfig& config, const TileKernels& kernels)
      : ExactSoftmax(config, kernels, StandardTiles(config, kernels)) {
    Allocate(std::min<int64_t>(2, config.batch * static_cast<int64_t>(groups_.size())),
             std::max<int64_t>(1, CeilDivide(config.max_query_tokens, rows_per_block())) +
                 (config.threads > 1 ? config.threads : 0));
    own_panels_.resize(config.threads);
    for (std::vector<int64_t>& own : own_panels_) own.reserve(panels_.size());
  }

  void Accumulate(const AttentionStep& step) override {
    CheckStep(config_, step);
    phases_.values().CheckRoom(step);
    const int64_t groups = static_cast<int64_t>(groups_.size()), units = config_.batch * groups;
    if (units == 0 || CountTokens(step.query.segments) == 0) return step.progress();
#pragma omp parallel num_threads(config_.threads) if (config_.threads > 1)
    {
      ProgressMeter meter = Meter(step);
      PackValues(step, 0, meter);
      Meet(meter);
      for (int64_t unit = 0; unit < units; ++unit) {
        // Done by when the threads meet after this one's heads.
        if (unit + 1 < units) PackValues(step, unit + 1, meter);
        const HeadGroup& group = groups_[unit % groups];
        for (int64_t head = group.first_head; head < group.first_head + group.heads; ++head) {
          RunHead(step, {unit / groups, head, 1, {}}, group.kv_head, Values(unit), meter,
                  scratch_[omp_get_thread_num()]);
        }
      }
    }
    step.progress();
  }

 private:
  // Of a (batch entry, KV head): two buffers in turn.
  std::byte* Values(int64_t unit) const { return values_[unit % static_cast<int64_t>(values_.size())]; }

  // All threads share it and go on without waiting for each other.
  void PackValues(const AttentionStep& step, int64_t unit, ProgressMeter& meter) {
    const int64_t groups = static_cast<int64_t>(groups_.size());
    const int64_t chunks = phases_.values().Chunks(step);
    const int64_t last_position = LastPosition(step.query);
#pragma omp for schedule(dynamic) nowait
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      meter.BeforeBytes(phases_.values().BytesPerChunk());
      phases_.values().Pack(step, unit / groups, groups_[unit % groups].kv_head, chunk, last_position,
                            Values(unit));
    }
  }

  // All threads together. A thread takes the blocks it is dealt through all three phases, its part of the
  // matrix after its part: no row needs another's scores, so threads meet once, before the next head
  // overwrites the matrix, and what fits a core's own cache stays there. Blocks are cut for all to end at the
  // same time (11 equal blocks for two threads would cost a twelfth). Short blocks of several query segments
  // may need more panels than one matrix has: then the head takes more than one pass.
  void RunHead(const AttentionStep& step, ColumnTile tile, int64_t kv_head, std::byte* values,
               ProgressMeter& meter, const PanelScratch& scratch) {
    std::vector<int64_t>& own = own_panels_[omp_get_thread_num()];
    const SharedRowBlocks blocks(step.query.segments, rows_per_block(), kernels_.lanes, config_.threads);
    const int64_t capacity = static_cast<int64_t>(panels_.size());
    for (int64_t first = 0; first < blocks.count(); first += capacity) {
      const int64_t count = std::min(capacity, blocks.count() - first);
      const auto block_tile = [&](int64_t panel) {
        tile.rows = blocks.Get(first + panel);
        return tile;
      };
      own.clear();
      // Late rows, expensive under a causal mask, are dealt first; without one, every other head begins at
      // the other end of the matrix, where the head before it ended.
      const bool from_the_end = config_.causal || tile.head_begin % 2 == 0;
#pragma omp for schedule(dynamic) nowait
      for (int64_t dealt = 0; dealt < count; ++dealt) {
        const int64_t i = from_the_end ? count - 1 - dealt : dealt;
        own.push_back(i);
        phases_.Scores(step, block_tile(i), kv_head, meter, scratch, panels_[i]);
      }
      // Backwards: what was written last is still in a cache when the matrix is not. And forwards again.
      for (auto panel = own.rbegin(); panel != own.rend(); ++panel) {
        phases_.Softmax(step, block_tile(*panel), meter, panels_[*panel]);
      }
      for (int64_t i : own) phases_.Output(step, block_tile(i), values, meter, scratch, panels_[i]);
      Meet(meter);
    }
  }

  std::vector<std::vector<int64_t>> own_panels_;  // by thread: those whose blocks it was dealt
};

class RowBlocked : public ExactSoftmax {
 public:
  RowBlocked(const BackendConfig& config, const TileKernels& kernels)
      : ExactSoftmax(config, kernels, RowBlockedTiles(config, kernels)),
        largest_group_(LargestGroup(groups_)),
        pipeline_(config.batch * static_cast<int64_t>(groups_.size())) {
    Allocate(std::min(GroupPipeline::kBuffers, config.batch * static_cast<int64_t>(groups_.size())),
             config.threads);
  }

  void Accumulate(const AttentionStep& step) override {
    CheckStep(config_, step);
    const PackedValues& packed_values = phases_.values();
    packed_values.CheckRoom(step);
    const int64_t blocks = CountRowBlocks(step.query.segments, tiles_.q_block);
    const int64_t groups = static_cast<int64_t>(groups_.size());
    const int64_t last_position = LastPosition(step.query);
    pipeline_.Reset(config_.batch * groups, packed_values.Chunks(step), blocks * largest_group_);
#pragma omp parallel num_threads(config_.threads) if (config_.threads > 1)
    {
      const int thread = omp_get_thread_num();
      ProgressMeter meter = Meter(step);
      pipeline_.Run(
          [&](int64_t unit, int64_t chunk, int64_t buffer) {
            meter.BeforeBytes(packed_values.BytesPerChunk());
            packed_values.Pack(step, unit / groups, groups_[unit % groups].kv_head, chunk, last_position,
                               values_[buffer]);
          },
          [&](int64_t unit, int64_t index, int64_t buffer) {
            const HeadGroup& group = groups_[unit % groups];
            if (index % largest_group_ >= group.heads) return;
            // Late rows, expensive under a causal mask, first.
            const RowBlock rows =
                GetRowBlock(step.query.segments, tiles_.q_block, blocks - 1 - index / largest_group_);
            const ColumnTile tile{unit / groups, group.first_head + index % largest_group_, 1, rows};
            phases_.Scores(step, tile, group.kv_head, meter, scratch_[thread], panels_[thread]);
            phases_.Softmax(step, tile, meter, panels_[thread]);
            phases_.Output(step, tile, values_[buffer], meter, scratch_[thread], panels_[thread]);
          },
          [&] { meter.Call(); });
      Meet(meter);
    }
    step.progress();
  }

 private:
  int64_t largest_group_;
  GroupPipeline pipeline_;
};

}  // namespace

std::unique_ptr<AttentionBackend> MakeStandard(const BackendConfig& config, const TileKernels& kernels) {
  return std::make_unique<Standard>(config, kernels);
}

std::unique_ptr<AttentionBackend> MakeRowBlocked(const BackendConfig& config, const TileKernels& kernels) {
  return std::make_unique<RowBlocked>(config, kernels);
}

}  // namespace attention
