#include "src/experiment/measure/rounds.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "src/base/counter_random.h"
#include "src/experiment/measure/statistics.h"

namespace attention {
namespace {

constexpr uint64_t kOrderStream = 6;

}  // namespace

std::vector<int> RoundOrder(int count, uint64_t seed, int launch, const std::string& cell, int round) {
  std::vector<int> order(count);
  std::iota(order.begin(), order.end(), 0);
  uint64_t stream = kOrderStream;
  for (char c : cell) stream = RandomBits(seed, stream, static_cast<unsigned char>(c));
  stream = RandomBits(stream, static_cast<uint64_t>(launch), static_cast<uint64_t>(int64_t{round}));
  for (int i = count - 1; i > 0; --i) {
    std::swap(order[i], order[RandomBits(stream, kOrderStream, static_cast<uint64_t>(i)) % (i + 1)]);
  }
  return order;
}

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

}  // namespace attention
