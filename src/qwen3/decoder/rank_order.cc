#include "src/qwen3/decoder/rank_order.h"

#include <algorithm>

namespace attention {

void AddInRankOrder(int rank, int ranks, const float* received, int64_t stride, int64_t elements,
                    float* own) {
  // Blocks small enough that a block of the sum stays in cache while every rank's part is added.
  constexpr int64_t kBlock = 4096;
  float sum[kBlock];
  for (int64_t begin = 0; begin < elements; begin += kBlock) {
    const int64_t count = std::min(kBlock, elements - begin);
    for (int64_t r = 0; r < ranks; ++r) {
      const float* part = r == rank ? own + begin : received + r * stride + begin;
      if (r == 0) {
        std::copy_n(part, count, sum);
      } else {
        for (int64_t i = 0; i < count; ++i) sum[i] += part[i];
      }
    }
    std::copy_n(sum, count, own + begin);
  }
}

}  // namespace attention
