// The few statistics the runner needs; verdicts are analysis/'s.
#ifndef SRC_EXPERIMENT_MEASURE_STATISTICS_H_
#define SRC_EXPERIMENT_MEASURE_STATISTICS_H_

#include <cstddef>
#include <vector>

namespace attention {

// Middle value, or the mean of the two middle ones. NaN of nothing.
double Median(std::vector<double> values);

struct MedianInterval {
  double median = 0;
  double low = 0;
  double high = 0;
};

// 95 % confidence interval of the median from order statistics: no distribution assumed (Conover 1999, 3.2).
// Fewer than 6 samples cannot give 95 %; then it is the whole range.
MedianInterval MedianWithInterval(std::vector<double> values);

// Median of the second half over median of the first, minus 1, samples in order of time; 0 for fewer than 4.
double Drift(const std::vector<double>& in_time_order);

// The rule of analysis/estimate/SAMPLE_SIZE.md is made for so many pilot rounds; of more, it uses the last.
inline constexpr size_t kPilotRounds = 10;

// Standard deviation of the log ratio of two variants' paired times: half the range of the last kPilotRounds
// without its two extremes (for normal values these lie one deviation from the mean). NaN for fewer rounds.
double PilotNoise(const std::vector<double>& times, const std::vector<double>& other_times);

// How many rounds one fixed-size test needs (SAMPLE_SIZE.md), from discarded pilot rounds:
//   ceil((6.5 noise / ln(detectable / 1.01))^2), at least 15, at most `maximum`
// with the largest noise over all pairs of variants. A true ratio of `detectable` is then found above 1.01
// with probability 0.95 at level 0.05 two-sided, the pilot's own luck included.
//   pilot[variant][round]: times. The least number where a pilot has fewer than kPilotRounds.
int ChooseRounds(const std::vector<std::vector<double>>& pilot, double detectable, int maximum);

}  // namespace attention

#endif  // SRC_EXPERIMENT_MEASURE_STATISTICS_H_
