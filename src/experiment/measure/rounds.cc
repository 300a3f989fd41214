#include "src/experiment/measure/rounds.h"

#include <algorithm>
#include <cmath>

#include "src/experiment/measure/statistics.h"

namespace attention {
bool PilotIsLong(const MeasureOptions& measure, double elapsed_s) {
  return measure.seconds_per_cell > 0 && elapsed_s > measure.seconds_per_cell / 3;
}

int RoundsAfterPilot(const MeasureOptions& measure, const std::vector<std::vector<double>>& pilot, int done,
                     double elapsed_s) {
  int rounds = measure.max_rounds;
  if (done >= static_cast<int>(kPilotRounds)) {
    rounds = ChooseRounds(pilot, measure.detectable_ratio, measure.max_rounds);
  }
  if (measure.seconds_per_cell > 0) {
    const double left = measure.seconds_per_cell - elapsed_s;
    rounds = static_cast<int>(std::min<int64_t>(rounds, static_cast<int64_t>(left / elapsed_s * done)));
  }
  return std::max(rounds, measure.min_rounds);
}

int RoundsByTime(const MeasureOptions& measure, double round_s) {
  if (measure.seconds_per_cell <= 0 || round_s <= 0) return measure.max_rounds;
  const double room = std::floor(std::min(measure.seconds_per_cell / round_s, 1e6));
  return std::clamp(static_cast<int>(room), measure.min_rounds, measure.max_rounds);
}

}  // namespace attention
