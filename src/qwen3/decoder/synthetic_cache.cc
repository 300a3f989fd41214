#include "src/qwen3/decoder/synthetic_cache.h"

#include <utility>
#include <vector>

#include "src/base/counter_random.h"
#include "src/base/error.h"
#include "src/base/tensor_rows.h"
#include "src/base/tensor_view.h"

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
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> made(static_cast<size_t>(head_dim));
#pragma omp for collapse(3)
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t head = heads.begin; head < heads.end; ++head) {
        for (int64_t token = own_tokens.begin; token < own_tokens.end; ++token) {
          const Row row{layer, b, head, token};
          for (const auto& [part, view] : {std::pair(Part::kKeys, keys), std::pair(Part::kValues, values)}) {
            FillRow(part, row, made);
            StoreRow(made, view, b, head - heads.begin, token - own_tokens.begin);
          }
        }
      }
    }
  }
}

}  // namespace attention
