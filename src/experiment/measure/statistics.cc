#include "src/experiment/measure/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/base/error.h"

namespace attention {

double Median(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

MedianInterval MedianWithInterval(std::vector<double> values) {
  MedianInterval interval;
  interval.median = Median(values);
  interval.low = interval.high = interval.median;
  if (values.empty()) return interval;
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  // The largest k with 2 P(Binomial(n, 1/2) <= k - 1) <= 0.05 gives [x_(k), x_(n + 1 - k)].
  double log_term = -static_cast<double>(n) * std::log(2.0);  // of Binomial = 0
  double cumulative = 0;
  size_t k = 0;
  for (size_t j = 0; j < n / 2; ++j) {
    cumulative += std::exp(log_term);
    if (2 * cumulative > 0.05) break;
    k = j + 1;
    log_term += std::log(static_cast<double>(n - j)) - std::log(static_cast<double>(j + 1));
  }
  if (k == 0) k = 1;
  interval.low = values[k - 1];
  interval.high = values[n - k];
  return interval;
}

double Drift(const std::vector<double>& in_time_order) {
  const size_t half = in_time_order.size() / 2;
  if (half < 2) return 0;
  const double first = Median({in_time_order.begin(), in_time_order.begin() + half});
  const double second = Median({in_time_order.end() - half, in_time_order.end()});
  return second / first - 1;
}

double PilotNoise(const std::vector<double>& times, const std::vector<double>& other_times) {
  const size_t rounds = std::min(times.size(), other_times.size());
  if (rounds < kPilotRounds) return std::numeric_limits<double>::quiet_NaN();
  std::vector<double> log_ratios;
  for (size_t r = rounds - kPilotRounds; r < rounds; ++r) {
    log_ratios.push_back(std::log(times[r] / other_times[r]));
  }
  std::sort(log_ratios.begin(), log_ratios.end());
  return (log_ratios[kPilotRounds - 2] - log_ratios[1]) / 2;
}

int ChooseRounds(const std::vector<std::vector<double>>& pilot, double detectable, int maximum) {
  constexpr int kMinimum = 15;
  constexpr double kBound = 1.01;
  constexpr double kFactor = 6.5;
  Require(detectable > kBound, "detectable ratio ", detectable, " must be above ", kBound);
  double noise = 0;
  for (size_t v = 0; v < pilot.size(); ++v) {
    for (size_t w = v + 1; w < pilot.size(); ++w) noise = std::max(noise, PilotNoise(pilot[v], pilot[w]));
  }
  const double needed = std::ceil(std::pow(kFactor * noise / std::log(detectable / kBound), 2));
  return std::clamp(static_cast<int>(std::min(needed, 1e9)), std::min(kMinimum, maximum), maximum);
}

}  // namespace attention
