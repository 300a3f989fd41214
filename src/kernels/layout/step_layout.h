// How one rank's step is cut: groups of query heads that share a KV head, blocks of query rows, tiles of
// keys.
#ifndef SRC_KERNELS_LAYOUT_STEP_LAYOUT_H_
#define SRC_KERNELS_LAYOUT_STEP_LAYOUT_H_

#include <cstdint>
#include <span>
#include <vector>

#include "src/attention/attention_backend.h"
#include "src/base/int8_row.h"

namespace attention {

// Neighbouring local query heads that read one local KV head. A rank's first and last group may be partial.
struct HeadGroup {
  int64_t kv_head = 0;
  int64_t first_head = 0;
  int64_t heads = 0;
};

// Throws Error (bad usage) if the config's shape is out of range.
void CheckConfig(const BackendConfig& config);
// Throws Error (bad usage) if the step does not fit the config.
void CheckStep(const BackendConfig& config, const AttentionStep& step);

// In ascending order of KV heads.
std::vector<HeadGroup> MakeHeadGroups(const BackendConfig& config);
// Those of the step's KV heads.
std::span<const HeadGroup> GroupsOfStep(std::span<const HeadGroup> groups, const AttentionStep& step);
int64_t LargestGroup(std::span<const HeadGroup> groups);

int64_t CountTokens(std::span<const TokenSegment> segments);
// Global positions of the first and the last query row; {0, -1} without rows.
struct PositionRange {
  int64_t first = 0;
  int64_t last = -1;
};
PositionRange PositionsOf(const QueryShard& query);

// The multiplier of q.k that gives base-2 logits.
float Base2Scale(const BackendConfig& config);

inline int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t RoundUp(int64_t a, int64_t multiple) { return CeilDivide(a, multiple) * multiple; }

// First byte of a row, whatever its element type.
inline const void* RowAddress(const ConstTensorView& view, int64_t batch, int64_t head, int64_t token) {
  const int64_t elements = batch * view.batch_stride + head * view.head_stride + token * view.token_stride;
  return view.data + elements * static_cast<int64_t>(SizeOf(view.data_type));
}
// One element, for paths that need not be fast.
inline float ElementAsFloat(const ConstTensorView& view, int64_t batch, int64_t head, int64_t token,
                            int64_t d) {
  if (view.data_type == DataType::kFloat32) return view.Row<float>(batch, head, token)[d];
  if (view.data_type == DataType::kBfloat16) return view.Row<Bfloat16>(batch, head, token)[d].ToFloat();
  const int8_t* row = view.Row<int8_t>(batch, head, token);
  return ScaleOfInt8Row(row, view.shape.head_dim) * static_cast<float>(row[d]);
}

// A run of rows of one query segment.
struct RowBlock {
  int64_t local_begin = 0;
  int64_t global_begin = 0;
  int64_t rows = 0;
};

// Segments cut into runs of at most `tokens` tokens.
int64_t CountRuns(std::span<const TokenSegment> segments, int64_t tokens);

// Segments cut into blocks of nearly equal size; blocks never cross segments: each segment's number of blocks
// is the least that keeps them at max_rows, their size a multiple of `granule` where max_rows allows.
class RowBlocks {
 public:
  RowBlocks(std::span<const TokenSegment> segments, int64_t max_rows, int64_t granule)
      : segments_(segments), max_rows_(max_rows), granule_(granule) {
    for (const TokenSegment& segment : segments) count_ += CeilDivide(segment.length, Rows(segment));
  }
  int64_t count() const { return count_; }
  // 0 <= index < count(), in segment order.
  RowBlock Get(int64_t index) const;

 private:
  int64_t Rows(const TokenSegment& segment) const;

  std::span<const TokenSegment> segments_;
  int64_t max_rows_;
  int64_t granule_;
  int64_t count_ = 0;
};

// The most rows per block, a multiple of `granule`, up to max_rows, that leave every thread some blocks of
// its own: few heads per rank and many threads would otherwise have fewer blocks than threads. `units`: how
// often the rows are gone through by different work (heads, groups, batch entries).
int64_t RowsPerBlock(int64_t rows, int64_t units, int64_t max_rows, int64_t granule, int64_t threads);

}  // namespace attention

#endif  // SRC_KERNELS_LAYOUT_STEP_LAYOUT_H_
