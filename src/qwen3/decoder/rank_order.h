// Addition in the order of ranks, whatever the order of arrival: the same bits on every rank, run after run.
// In a simulation (src/simulate/rank_order.cc) there are no floats, and it takes its time.
#ifndef SRC_QWEN3_DECODER_RANK_ORDER_H_
#define SRC_QWEN3_DECODER_RANK_ORDER_H_

#include <cstdint>

namespace attention {

// own [elements] is the part of `rank`; that of another rank r is received [r * stride ..]. Their sum goes
// into own.
void AddInRankOrder(int rank, int ranks, const float* received, int64_t stride, int64_t elements, float* own);

}  // namespace attention

#endif  // SRC_QWEN3_DECODER_RANK_ORDER_H_
