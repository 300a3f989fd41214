// Online softmax for few query columns (decode, a handful of prompt tokens): K and V are read once, in long
// runs, and nothing else costs anything.
//
// int8 keys and values are read as whole numbers: a key's scale multiplies its scores, a value's the weight
// it gets, one product a column instead of head_dim.
//
// Threads share the (batch entry, KV head) pairs and, where those are few, runs of keys (split-KV, as in
// flash-decoding); partial states merge in a fixed order, so results do not depend on timing.
#ifndef SRC_KERNELS_FEW_QUERIES_H_
#define SRC_KERNELS_FEW_QUERIES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "src/attention/attention_backend.h"
#include "src/kernels/layout/step_layout.h"
#include "src/kernels/layout/workspace.h"
#include "src/kernels/simd/tile_kernels.h"
#include "src/kernels/threads/progress_meter.h"

namespace attention {

class FewQueries {
 public:
  // config, kernels and groups must outlive it.
  FewQueries(const BackendConfig& config, const TileKernels& kernels, std::span<const HeadGroup> groups);

  // Whether the step has so few columns that this way is the faster one.
  bool Fits(const AttentionStep& step) const;
  // Whether every step that the config allows does.
  bool AlwaysFits() const;
  void LayOut(Workspace& workspace);
  void Run(const AttentionStep& step);

 private:
  // Few enough for fixed arrays.
  static constexpr int64_t kMaxColumns = kMostFewColumns;
  static_assert(kMostInt8Columns <= kMaxColumns, "nothing else reads int8");

  struct Column {
    int64_t head = 0;
    int64_t row = 0;
    int64_t position = 0;
  };
  struct Partial {
    float* o = nullptr;  // [kMaxColumns][head_dim]
    float* m = nullptr;  // [kMaxColumns], base-2 logits
    float* l = nullptr;
  };
  struct Worker {
    float* q = nullptr;             // [kMaxColumns][head_dim], scaled
    std::byte* packed_q = nullptr;  // the same as pack_few_queries leaves it
    float* scores = nullptr;        // [kMaxColumns][keys per run]
    ProgressMeter meter;
  };

  // A step of one shard, or none.
  void RunShard(const AttentionStep& step);
  // Of its shard.
  static std::span<const TokenSegment> Segments(const AttentionStep& step);
  // Of a segment, as places in it.
  KeyRange VisibleKeys(const TokenSegment& segment, const PositionRange& queries) const;
  int64_t FillColumns(const AttentionStep& step, const HeadGroup& group, Column* columns) const;
  int64_t Splits(int64_t keys) const;
  // What one pass over keys takes on a slow machine, and how many keys one piece may have between two calls
  // of the progress callback.
  double Microseconds(int64_t keys, int64_t columns) const;
  int64_t KeysPerPiece(int64_t keys, int64_t columns) const;
  // Keys [begin, end) of the visible ones of all segments, counted through.
  void RunSplit(const AttentionStep& step, const PositionRange& queries, int64_t batch,
                const HeadGroup& group, int64_t begin, int64_t end, Worker& worker,
                const Partial& partial) const;
  void RunKeys(const AttentionStep& step, int64_t batch, int64_t kv_head, const TokenSegment& keys,
               std::span<const Column> columns, Worker& worker, const Partial& partial) const;
  bool reads_int8() const { return config_.key_value_type() == DataType::kInt8; }
  void Finish(const AttentionStep& step, int64_t batch, const HeadGroup& group,
              std::span<const Partial> partials, ProgressMeter& meter) const;

  const BackendConfig& config_;
  const TileKernels& kernels_;
  std::span<const HeadGroup> groups_;
  int64_t max_columns_;
  int64_t max_splits_;
  std::vector<Worker> workers_;
  std::vector<Partial> partials_;  // [unit][split]
  PollingBarrier barrier_;
};

}  // namespace attention

#endif  // SRC_KERNELS_FEW_QUERIES_H_
