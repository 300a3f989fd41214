#include "src/qwen3/decoder/logit_sums.h"

#include <mpi.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace attention {

LogitSums SumLogits(std::span<const float> logits, int64_t target) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  LogitSums result{-kInfinity, 0, 0};
  if (std::ranges::any_of(logits, [](float logit) { return !std::isfinite(logit); })) {
    // A number, so that the largest of all ranks is one; the sum says it.
    return {0, kInfinity, 0};
  }
  for (float logit : logits) result.largest = std::max(result.largest, static_cast<double>(logit));
  for (float logit : logits) result.sum += std::exp(logit - result.largest);
  if (target >= 0 && target < static_cast<int64_t>(logits.size())) {
    result.target = logits[static_cast<size_t>(target)];
  }
  return result;
}

void MergeOverRanks(const Communicator& communicator, std::span<LogitSums> rows) {
  const size_t count = rows.size();
  std::vector<double> largest(count), sums(2 * count);
  for (size_t i = 0; i < count; ++i) largest[i] = rows[i].largest;
  MPI_Allreduce(MPI_IN_PLACE, largest.data(), static_cast<int>(count), MPI_DOUBLE, MPI_MAX,
                communicator.handle());
  for (size_t i = 0; i < count; ++i) {
    // A rank without logits has a sum of 0 below any largest.
    sums[2 * i] = rows[i].sum == 0 ? 0 : rows[i].sum * std::exp(rows[i].largest - largest[i]);
    sums[2 * i + 1] = rows[i].target;
  }
  // MPI may add in another order on another rank: one adds, and tells the others.
  const bool adds = communicator.rank() == 0;
  MPI_Reduce(adds ? MPI_IN_PLACE : sums.data(), adds ? sums.data() : nullptr, static_cast<int>(sums.size()),
             MPI_DOUBLE, MPI_SUM, 0, communicator.handle());
  MPI_Bcast(sums.data(), static_cast<int>(sums.size()), MPI_DOUBLE, 0, communicator.handle());
  for (size_t i = 0; i < count; ++i) rows[i] = {largest[i], sums[2 * i], sums[2 * i + 1]};
}

}  // namespace attention
