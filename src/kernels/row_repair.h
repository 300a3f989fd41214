// The slow, exact way out for rows on which float32 tiles broke down.
//
// A finite input can overflow in float32 (a logit beyond 3e38, a weighted sum of huge values), and a NaN or
// inf in one key or value reaches rows that do not see it when a tile multiplies it by a weight of 0. Such
// rows come out non-finite, which is cheap to detect (a logit that overflows to -inf is not: it passes for a
// weight of 0); they are computed anew in float64 from the keys they see: finite if the mathematics is
// finite, non-finite only if the row really sees a non-finite number.
#ifndef SRC_KERNELS_ROW_REPAIR_H_
#define SRC_KERNELS_ROW_REPAIR_H_

#include <cstdint>

#include "src/attention/attention_backend.h"
#include "src/kernels/threads/progress_meter.h"

namespace attention {

// Recomputes the row's part of `step` and writes it to the output (step.last) or the state. Unless
// step.first, the state must still hold what it held before the step.
void RepairRow(const BackendConfig& config, const AttentionStep& step, int64_t batch, int64_t head,
               int64_t row, int64_t position, ProgressMeter& meter);

}  // namespace attention

#endif  // SRC_KERNELS_ROW_REPAIR_H_
