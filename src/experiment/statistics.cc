#include "src/experiment/statistics.h"

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

int ChooseRounds(const std::vector<std::vector<double>>& pilot, double detectable, int maximum) {
  constexpr int kMinimum = 12;
  constexpr double kBound = 1.01;
  Require(detectable > kBound, "detectable ratio ", detectable, " must be above ", kBound);
  double deviation = 0;
  size_t samples = 0;
  for (size_t v = 0; v + 1 < pilot.size(); ++v) {
    std::vector<double> log_ratios, distances;
    for (size_t r = 0; r < std::min(pilot[v].size(), pilot[v + 1].size()); ++r) {
      log_ratios.push_back(std::log(pilot[v][r] / pilot[v + 1][r]));
    }
    const double center = Median(log_ratios);
    for (double x : log_ratios) distances.push_back(std::fabs(x - center));
    if (!distances.empty()) deviation = std::max(deviation, 1.4826 * Median(distances));
    samples = std::max(samples, log_ratios.size());
  }
  if (samples < 2) return std::min(kMinimum, maximum);
  // The MAD of n normal samples is low by about 1 - 0.8 / n (Croux & Rousseeuw 1992) and has relative
  // standard error 1.17 / sqrt(n); 1.645 is the 95 % quantile.
  const double n = static_cast<double>(samples);
  const double inflate = n / (n - 0.8) * (1 + 1.645 * 1.17 / std::sqrt(n));
  // gap >= standard-error term / sqrt(n) + one rank / n: the ends of an order-statistic interval are whole
  // ranks, rounded outwards, and near the median a rank is 2 x 1.2533 s / n wide. Quadratic in 1 / sqrt(n).
  const double spread = deviation * inflate, gap = std::log(detectable / kBound);
  const double a = 2 * 1.2533 * spread, b = (1.96 + 1.645) * 1.2533 * spread;
  const double root = spread > 0 ? (-b + std::sqrt(b * b + 4 * a * gap)) / (2 * a) : 1e9;
  const double needed = std::min(std::ceil(1 / (root * root)), 1e9);
  return std::clamp(static_cast<int>(needed), std::min(kMinimum, maximum), maximum);
}

}  // namespace attention
