#include "src/experiment/measure/sample_summary.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "src/base/error.h"
#include "src/experiment/measure/statistics.h"

namespace attention {
namespace {

// Values of the samples that have one.
template <typename Value>
std::vector<double> Collect(std::span<const SampleRow> samples, Value value) {
  std::vector<double> values;
  for (const SampleRow& sample : samples) {
    const double one = value(sample);
    if (!std::isnan(one)) values.push_back(one);
  }
  return values;
}

template <typename Value>
double MedianOf(std::span<const SampleRow> samples, Value value) {
  return Median(Collect(samples, value));
}

}  // namespace

void SummarizeSamples(std::span<const SampleRow> samples, double flops, CaseRow& row) {
  row.rounds = static_cast<int>(samples.size());
  if (samples.empty()) return;
  const std::vector<double> times = Collect(samples, [](const SampleRow& s) { return s.time_s; });
  const MedianInterval interval = MedianWithInterval(times);
  row.time_median_s = interval.median;
  row.time_low_s = interval.low;
  row.time_high_s = interval.high;
  row.gflops = flops / interval.median * 1e-9;
  row.pct_peak =
      MedianOf(samples, [&](const SampleRow& s) { return 100 * (flops / s.time_s * 1e-9) / s.peak_gflops; });
  row.peak_gflops = MedianOf(samples, [](const SampleRow& s) { return s.peak_gflops; });
  row.read_gb_per_s = MedianOf(samples, [](const SampleRow& s) { return s.read_gb_per_s; });
  row.page_faults = MedianOf(samples, [](const SampleRow& s) { return static_cast<double>(s.page_faults); });
  row.compute_s = MedianOf(samples, [](const SampleRow& s) { return s.compute_s; });
  row.comm_total_s = MedianOf(samples, [](const SampleRow& s) { return s.comm_total_s; });
  row.comm_exposed_s = MedianOf(samples, [](const SampleRow& s) { return s.comm_exposed_s; });
  if (row.comm_total_s > 0) {
    row.overlap_fraction = std::clamp(1 - row.comm_exposed_s / row.comm_total_s, 0.0, 1.0);
  }
  row.drift = Drift(times);
  const double half_width = std::max(interval.high - interval.median, interval.median - interval.low);
  if (row.status == CaseStatus::kOk && times.size() >= 6 &&
      std::fabs(row.drift) * interval.median > 2 * half_width) {
    row.message = internal::Concatenate("drift: the second half of the samples differs by ",
                                        std::round(row.drift * 1000) / 10, " %, beyond the interval");
  }
}

}  // namespace attention
