#include "src/experiment/measure/hardware_limits.h"

#include <mpi.h>

#include <algorithm>

#include "src/machine/machine_peak.h"
#include "src/mpi/agreement.h"

namespace attention {
namespace {

// A sample faster than this share of the measured peak is a bug, not a record.
constexpr double kImpossibleShareOfPeak = 1.03;
// Reads last as long as the samples they are the limit of, up to this. Clouds grant memory bandwidth like a
// bucket that fills while nobody reads: for some ms after a pause twice of what lasts.
constexpr double kMaximumReadSeconds = 50e-3;
// The best of three bursts: a burst in which the machine was elsewhere says nothing about it.
constexpr int kBursts = 3;

double SumOverRanks(const Communicator& communicator, double value) {
  MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_SUM, communicator.handle());
  return value;
}

}  // namespace

LimitsMeter::LimitsMeter(const Communicator& communicator, const Cell& cell, int64_t read_bytes,
                         double peak_seconds)
    : communicator_(communicator), cell_(cell), peak_seconds_(peak_seconds) {
  AgreeOnErrors(communicator_, [&] { read_buffer_ = AlignedBuffer(static_cast<size_t>(read_bytes)); });
}

HardwareLimits LimitsMeter::Measure(double run_seconds) {
  HardwareLimits limits;
  for (int burst = 0; burst < kBursts; ++burst) {
    communicator_.Barrier("peak");
    const double peak = MeasurePeakGflops(cell_.isa, cell_.problem.data_type, cell_.threads, peak_seconds_);
    limits.peak_gflops = std::max(limits.peak_gflops, SumOverRanks(communicator_, peak));
  }
  const double stretch = std::min(run_seconds, kMaximumReadSeconds);
  const double seconds = std::max(peak_seconds_, stretch);
  for (int burst = 0; burst <= kBursts; ++burst) {
    communicator_.Barrier("read bandwidth");
    const double read = MeasureReadBandwidth(cell_.isa, cell_.threads, read_buffer_.data(),
                                             read_buffer_.size_bytes(), seconds, stretch);
    // The first one ends what the pause before has saved up.
    if (burst > 0) limits.read_gb_per_s = std::max(limits.read_gb_per_s, SumOverRanks(communicator_, read));
  }
  best_peak_gflops_ = std::max(best_peak_gflops_, limits.peak_gflops);
  return limits;
}

bool LimitsMeter::IsImpossible(double gflops, double run_seconds) {
  if (gflops <= kImpossibleShareOfPeak * best_peak_gflops_) return false;
  Measure(run_seconds);
  return gflops > kImpossibleShareOfPeak * best_peak_gflops_;
}

}  // namespace attention
