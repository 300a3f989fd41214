// From samples to a row of cases.csv: a pure function of the samples.
#ifndef SRC_EXPERIMENT_MEASURE_SAMPLE_SUMMARY_H_
#define SRC_EXPERIMENT_MEASURE_SAMPLE_SUMMARY_H_

#include <span>

#include "src/experiment/record/results.h"

namespace attention {

// Fills the statistics of `row` from one case's samples in order of time, pilot left out: rounds, the median
// time with its interval, rates, medians of what stands beside each sample, drift. `flops`: of one run.
// Without samples only `rounds` is set. A drift beyond the interval is said in row.message if the row is ok.
void SummarizeSamples(std::span<const SampleRow> samples, double flops, CaseRow& row);

}  // namespace attention

#endif  // SRC_EXPERIMENT_MEASURE_SAMPLE_SUMMARY_H_
