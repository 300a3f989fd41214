#include "src/kernels/layout/packed_values.h"

#include <algorithm>

#include "src/base/error.h"
#include "src/kernels/layout/step_layout.h"
#include "src/kernels/layout/tile_sizes.h"

namespace attention {
namespace {

// Segments that may each end in an incomplete pair of keys: as many as there are keys, or so many. Columns of
// a large mesh of ranks have hundreds.
constexpr int64_t kSpareSegments = 512;

}  // namespace

PackedValues::PackedValues(const BackendConfig& config, const TileKernels& kernels, int64_t keys_per_chunk)
    : kernels_(kernels),
      mask_(config.mask),
      head_dim_(config.head_dim),
      keys_per_chunk_(keys_per_chunk),
      capacity_(RoundUp(std::max<int64_t>(1, config.max_kv_tokens), kernels.key_granule) +
                std::clamp<int64_t>(config.max_kv_tokens, 1, kSpareSegments) * (kernels.key_granule - 1)),
      stride_(PanelStride(capacity_, kernels)),
      size_(stride_ * CeilDivide(config.head_dim, kernels.tile_rows) * kernels.packed_bytes) {}

void PackedValues::CheckRoom(const AttentionStep& step) const {
  int64_t keys = 0;
  size_t segments = 0;
  for (const KeyValueShard& shard : step.key_values) {
    segments += shard.segments.size();
    for (const TokenSegment& segment : shard.segments) keys = NextSegment(keys) + segment.length;
  }
  Require(keys <= capacity_, segments, " key segments of odd length; at most ", kSpareSegments, " fit");
}

int64_t PackedValues::Chunks(const AttentionStep& step) const {
  int64_t chunks = 0;
  for (const KeyValueShard& shard : step.key_values) chunks += CountRuns(shard.segments, keys_per_chunk_);
  return chunks;
}

void PackedValues::Pack(const AttentionStep& step, int64_t batch, int64_t kv_head, int64_t chunk,
                        const PositionRange& queries, std::byte* values) const {
  int64_t first_key = 0;
  for (const KeyValueShard& shard : step.key_values) {
    for (const TokenSegment& segment : shard.segments) {
      first_key = NextSegment(first_key);
      const int64_t chunks = CeilDivide(segment.length, keys_per_chunk_);
      if (chunk < chunks) {
        const int64_t chunk_begin = chunk * keys_per_chunk_;
        const KeyRange seen =
            mask_.VisibleToAny(queries.first, queries.last, segment.global_begin + chunk_begin,
                               std::min(keys_per_chunk_, segment.length - chunk_begin));
        if (seen.is_empty()) return;
        const int64_t begin = chunk_begin + seen.begin / kernels_.key_granule * kernels_.key_granule;
        kernels_.pack_values(RowAddress(shard.v, batch, kv_head, segment.local_begin + begin),
                             shard.v.token_stride, chunk_begin + seen.end - begin, head_dim_, stride_,
                             At(values, first_key + begin));
        return;
      }
      chunk -= chunks;
      first_key += segment.length;
    }
  }
}

}  // namespace attention
