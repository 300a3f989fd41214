#include "src/qwen3/decoder/synthetic_cache.h"

#include "src/base/counter_random.h"
#include "src/base/error.h"

namespace attention {
namespace {

constexpr uint64_t kKeyStream = 103;
constexpr uint64_t kValueStream = 104;

}  // namespace

void SyntheticCache::FillRow(Part part, const Row& row, std::span<float> out) const {
  const int64_t index = ((row.layer * batch + row.batch) * kv_heads + row.head) * tokens + row.token;
  FillGaussian(seed, part == Part::kKeys ? kKeyStream : kValueStream, static_cast<uint64_t>(index * head_dim),
               out);
}

void SyntheticCache::Fill(int64_t layer, const IndexRange& heads, const IndexRange& own_tokens, int threads,
                          KeyValueCache& cache) const {
  Require(own_tokens.size() <= cache.capacity(), "KV cache: ", own_tokens.size(), " tokens, room for ",
          cache.capacity());
  const TensorView keys = cache.keys(), values = cache.values();
  const size_t width = static_cast<size_t>(head_dim);
#pragma omp parallel for collapse(3) num_threads(threads)
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t head = heads.begin; head < heads.end; ++head) {
      for (int64_t token = own_tokens.begin; token < own_tokens.end; ++token) {
        const Row row{layer, b, head, token};
        const int64_t place = token - own_tokens.begin;
        FillRow(Part::kKeys, row, {keys.Row<float>(b, head - heads.begin, place), width});
        FillRow(Part::kValues, row, {values.Row<float>(b, head - heads.begin, place), width});
      }
    }
  }
}

}  // namespace attention
