// V of one KV head, packed for the weighted sum: panels of tile_rows head_dim elements, keys of all segments
// of a step's shards one after another. Panel p, key k, element i lies at p * stride() + k * tile_rows + i.
#ifndef SRC_KERNELS_LAYOUT_PACKED_VALUES_H_
#define SRC_KERNELS_LAYOUT_PACKED_VALUES_H_

#include <cstddef>
#include <cstdint>

#include "src/attention/attention_backend.h"
#include "src/kernels/layout/step_layout.h"
#include "src/kernels/simd/tile_kernels.h"

namespace attention {

class PackedValues {
 public:
  // Packed in chunks of keys_per_chunk keys, so that threads can share the work.
  // keys_per_chunk: a multiple of kernels.key_granule.
  PackedValues(const BackendConfig& config, const TileKernels& kernels, int64_t keys_per_chunk);
  // Throws Error (bad usage) if the step has too many short key segments for its room.
  void CheckRoom(const AttentionStep& step) const;

  int64_t stride() const { return stride_; }
  // Bytes of one head.
  int64_t size() const { return size_; }
  template <typename Byte>
  Byte* At(Byte* values, int64_t key) const {
    return values + key * kernels_.tile_rows * kernels_.packed_bytes;
  }
  // Where a segment's packed keys begin if those before it took `keys` keys.
  int64_t NextSegment(int64_t keys) const { return RoundUp(keys, kernels_.key_granule); }

  int64_t Chunks(const AttentionStep& step) const;
  // Read and written for one chunk.
  double BytesPerChunk() const {
    return 2.0 * sizeof(float) * static_cast<double>(keys_per_chunk_ * head_dim_);
  }
  // Packs chunk `chunk` of [0, Chunks(step)); keys that the mask hides from all of `queries` are left out.
  void Pack(const AttentionStep& step, int64_t batch, int64_t kv_head, int64_t chunk,
            const PositionRange& queries, std::byte* values) const;

 private:
  const TileKernels& kernels_;
  Mask mask_;
  int64_t head_dim_;
  int64_t keys_per_chunk_;
  int64_t capacity_;  // keys
  int64_t stride_;
  int64_t size_;
};

}  // namespace attention

#endif  // SRC_KERNELS_LAYOUT_PACKED_VALUES_H_
