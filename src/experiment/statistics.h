// The few statistics the runner needs; verdicts are analysis/'s.
#ifndef SRC_EXPERIMENT_STATISTICS_H_
#define SRC_EXPERIMENT_STATISTICS_H_

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

// How many rounds one fixed-size test needs (design, section 9), from discarded pilot rounds.
//   pilot[variant][round]: times. detectable: a true median ratio of this size is to be found to be above
//   `bound` (1.01) with probability 0.95 at level 0.05 two-sided. For paired log ratios with robust deviation
//   s (1.4826 MAD; the largest over neighbouring pairs), the median of n has standard error 1.2533 s /
//   sqrt(n); (z_0.975 + z_0.95) of those, and one rank for rounding, must fit between ln bound and ln
//   detectable. s is taken at its upper 95 % limit: it comes from few samples.
// Never below 12 (an exact order-statistic interval that Holm can still use), never above maximum.
int ChooseRounds(const std::vector<std::vector<double>>& pilot, double detectable, int maximum);

}  // namespace attention

#endif  // SRC_EXPERIMENT_STATISTICS_H_
