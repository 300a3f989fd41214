// The K/V cache that a measured decode finds: seeded numbers instead of a computed prompt.
//
// What a decoded token costs does not depend on the numbers in its cache, and computing them, in float32 for
// the model and in float64 for the check, takes minutes from some thousand tokens on. So the cells of phase
// decode begin with made keys and values, standard normal, which is the size that norms leave them with. The
// decoded token itself is computed in full, and checked against float64 on the same cache. That a prompt and
// decoding fit together is tested elsewhere (model_test, golden files).
#ifndef SRC_QWEN3_DECODER_SYNTHETIC_CACHE_H_
#define SRC_QWEN3_DECODER_SYNTHETIC_CACHE_H_

#include <cstdint>
#include <span>

#include "src/parallel/partition/partition.h"
#include "src/qwen3/decoder/key_value_cache.h"

namespace attention {

// By global index: the same for every strategy, rank count and reference.
struct SyntheticCache {
  uint64_t seed = 1;
  int64_t batch = 1;
  int64_t tokens = 0;  // cached, for each batch entry
  int64_t kv_heads = 0;
  int64_t head_dim = 0;

  enum class Part { kKeys, kValues };  // keys as a cache has them: after norm and rotation
  struct Row {
    int64_t layer, batch, head, token;
  };
  void FillRow(Part part, const Row& row, std::span<float> out) const;

  // Some heads and tokens of a layer of every batch entry, into the first places of the rank's cache, rounded
  // to its type.
  void Fill(int64_t layer, const IndexRange& heads, const IndexRange& own_tokens, int threads,
            KeyValueCache& cache) const;
};

}  // namespace attention

#endif  // SRC_QWEN3_DECODER_SYNTHETIC_CACHE_H_
