// In a simulation: sums over ranks take their time.
#include "src/qwen3/decoder/rank_order.h"

#include "src/simulate/simulated_time.h"

namespace attention {

void AddInRankOrder(int, int ranks, const float*, int64_t, int64_t elements, float*) {
  SpendBytes(MemoryWork::kAdd, (ranks + 1) * elements * static_cast<int64_t>(sizeof(float)));
}

}  // namespace attention
