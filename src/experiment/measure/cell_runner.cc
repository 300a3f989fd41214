#include "src/experiment/measure/cell_runner.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <optional>

#include "src/base/error.h"
#include "src/experiment/measure/hardware_limits.h"
#include "src/experiment/measure/orders.h"
#include "src/experiment/measure/rounds.h"
#include "src/experiment/measure/sample_summary.h"
#include "src/experiment/measure/timing.h"
#include "src/experiment/workload/accuracy.h"
#include "src/experiment/workload/decoder_workload.h"
#include "src/experiment/workload/workload.h"
#include "src/machine/machine_info.h"
#include "src/machine/machine_peak.h"
#include "src/mpi/agreement.h"

namespace attention {
namespace {

// Asked of a backend of the smallest size: a rank without rows makes none.
std::string BackendName(BackendFactory factory) {
  BackendConfig config;
  config.max_query_tokens = config.max_kv_tokens = 1;
  return factory(config)->name();
}

struct VariantRun {
  const Case* made = nullptr;
  std::unique_ptr<Workload> workload;
  bool is_measured = true;  // false from the moment it failed to run, or was wrong
  double first_run_s = 0;
  CaseRow row;
  std::vector<SampleRow> samples;  // kept ones, in order of time
  std::vector<double> pilot_times;
};

class CellRun : public CellMeasurement {
 public:
  CellRun(Communicator& communicator, const Cell& cell, const CellOptions& options)
      : communicator_(communicator), cell_(cell), options_(options) {
    const Stopwatch stopwatch(spent_s_);
    SetUp();
    if (AnyAlive()) CheckAll();
  }

  int ChooseRounds() override;
  void RunRound(int round, int rounds) override;
  bool is_over() const override { return is_over_ || !AnyAlive(); }
  bool is_stopped() const override { return is_stopped_; }
  CellResult Finish() override;

 private:
  // Adds up the time that this cell took, among others that it is measured by turns with.
  class Stopwatch {
   public:
    explicit Stopwatch(double& spent_s) : spent_s_(spent_s), spent_before_s_(spent_s) {}
    ~Stopwatch() { Look(); }
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;
    void Look() const { spent_s_ = spent_before_s_ + NowSeconds() - begin_s_; }

   private:
    double& spent_s_;
    double spent_before_s_;
    double begin_s_ = NowSeconds();
  };

  void SetUp();
  void Check(VariantRun& run);
  void CheckOutput(VariantRun& run);
  void CheckAll();
  std::optional<int> ChooseByPilot(const Stopwatch& stopwatch);
  bool TakeSamples(int round);
  void MarkTimeLimited(int done, int rounds);
  SampleRow TakeSample(VariantRun& run, int round, int position, const HardwareLimits& limits);
  void CheckAgainstPeak(VariantRun& run, SampleRow& sample, double gflops);
  void MeasureParts(VariantRun& run, SampleRow& sample, double waited);
  void PrepareCache(VariantRun& run);
  bool TimeIsUp() const;
  StopRequest AgreedStop() const;

  bool AnyAlive() const {
    return std::any_of(runs_.begin(), runs_.end(), [](const VariantRun& run) { return run.is_measured; });
  }
  static void MarkFailed(VariantRun& run, const std::string& message) {
    run.is_measured = false;
    run.workload.reset();  // its buffers are the others' to use
    run.row.status = CaseStatus::kFailed;
    if (run.row.message.empty()) run.row.message = message;
  }

  Communicator& communicator_;
  const Cell& cell_;
  const CellOptions& options_;
  double spent_s_ = 0;
  std::optional<CellWeights> weights_;  // decoder scopes
  std::vector<VariantRun> runs_;
  std::optional<AccuracyReference> reference_;  // none: results are not checked in this launch
  std::optional<LimitsMeter> limits_;
  std::optional<HardwareLimits> limits_of_launch_;
  bool one_clock_ = true;       // of all ranks
  AlignedBuffer evict_buffer_;  // cache: cold
  bool fits_cache_ = true;
  bool last_round_ = false;
  bool is_stopped_ = false;  // by a signal
  bool is_over_ = false;
  double fastest_run_s_ = std::numeric_limits<double>::infinity();
};

void CellRun::SetUp() {
  int64_t footprint = 0;
  const int64_t resident_at_start = CurrentResidentBytes();
  if (cell_.scope != Scope::kAttention) weights_.emplace(cell_, options_.on_loading);
  for (const Case& made : cell_.cases) {
    VariantRun& run = runs_.emplace_back();
    run.made = &made;
    run.row.cell = &cell_;
    run.row.made = &made;
    run.row.nodes = options_.nodes;
    run.row.oversubscribed = options_.oversubscribed;
    run.row.tolerance_rel_l2 = CellTolerance(cell_);
    run.row.bundle = options_.bundle;
    run.row.backend = BackendName(options_.backend);
  }
  // Where buffers come to lie depends on what was made before, and moves times by up to some per cent: in an
  // order of its own, each launch draws the places anew, and its effect averages out over launches instead of
  // always favouring the same variant.
  for (int index : BalancedOrder(static_cast<int>(runs_.size()), options_.order_seed, OrderOf::kMaking,
                                 cell_.id, options_.launch)) {
    VariantRun& run = runs_[static_cast<size_t>(index)];
    const int64_t resident_before = CurrentResidentBytes();
    try {
      run.workload = weights_
                         ? MakeDecoderWorkload(communicator_, cell_, *run.made, options_.backend, *weights_)
                         : MakeAttentionWorkload(communicator_, cell_, *run.made, options_.backend);
      // Uneven shards may choose tiles of different sizes; the sampled rows depend on them and must be the
      // same on every rank.
      const TileSizes tiles = run.workload->tiles();
      run.row.tiles = {communicator_.Max(tiles.q_block), communicator_.Max(tiles.kv_block)};
      run.row.workspace_bytes = communicator_.Max(run.workload->workspace_bytes());
      run.row.comm_bytes_per_rank = communicator_.Max(run.workload->comm_bytes());
      // As if it were alone in the process: the other variants' buffers are not its own.
      const int64_t own = CurrentResidentBytes() - resident_before;
      run.row.peak_rss_bytes = communicator_.Max(resident_at_start + own);
      footprint = std::max(footprint, run.workload->input_bytes() + run.workload->workspace_bytes());
      fits_cache_ = fits_cache_ && footprint <= LastLevelCacheBytes();
    } catch (const Error& error) {
      MarkFailed(run, error.what());
    }
  }
  if (!AnyAlive()) return;
  int64_t input_bytes = 1 << 16;
  std::vector<TileSizes> tiles;
  for (const VariantRun& run : runs_) {
    if (!run.is_measured) continue;
    input_bytes = std::max(input_bytes, std::min(run.workload->input_bytes(), kMaximumReadBytes));
    tiles.push_back(run.row.tiles);
  }
  limits_.emplace(communicator_, cell_, input_bytes, options_.peak_seconds);
  AgreeOnErrors(communicator_, [&] {
    if (cell_.cache == CacheState::kCold)
      evict_buffer_ = AlignedBuffer(2 * static_cast<size_t>(LastLevelCacheBytes()));
  });
  fits_cache_ = communicator_.Min(int64_t{fits_cache_}) != 0;
  const int64_t clock = static_cast<int64_t>(std::hash<std::string>()(BootId()));
  one_clock_ = communicator_.Min(clock) == communicator_.Max(clock);
  if (!options_.check_results) return;
  const std::vector<int64_t> borders =
      BorderRows(cell_.problem.mask, cell_.problem.query_tokens, cell_.ranks, tiles);
  reference_.emplace(communicator_, cell_, borders, options_.reference_rows, weights_ ? &*weights_ : nullptr);
}

void CellRun::Check(VariantRun& run) {
  run.workload->PoisonOutput();
  const Timing timing = TimeOnce(communicator_, [&] { run.workload->Run(); });
  fastest_run_s_ = std::min(fastest_run_s_, timing.max_s);
  run.first_run_s = timing.max_s;
  if (reference_) CheckOutput(run);
}

void CellRun::CheckOutput(VariantRun& run) {
  const AccuracyResult result =
      reference_->Compare(communicator_, run.workload->output(), run.workload->output_shard());
  CaseRow& row = run.row;
  row.max_abs_err =
      std::isnan(row.max_abs_err) ? result.max_abs_err : std::max(row.max_abs_err, result.max_abs_err);
  row.rel_l2_err =
      std::isnan(row.rel_l2_err) ? result.rel_l2_err : std::max(row.rel_l2_err, result.rel_l2_err);
  row.nonfinite = std::max(row.nonfinite, result.nonfinite);
  if (result.nonfinite > 0) {
    MarkFailed(run, internal::Concatenate(result.nonfinite, " values of the output are not finite"));
  } else if (!(result.rel_l2_err <= row.tolerance_rel_l2)) {
    MarkFailed(run, internal::Concatenate("wrong result: rel_l2_err ", result.rel_l2_err,
                                          " above the tolerance ", row.tolerance_rel_l2));
  }
}

// Before the timing, and after it: what was timed must have been right throughout. Without a reference, a
// first run that touches the memory.
void CellRun::CheckAll() {
  for (VariantRun& run : runs_) {
    if (!run.is_measured) continue;
    try {
      Check(run);
    } catch (const Error& error) {
      MarkFailed(run, error.what());
    }
  }
}

void CellRun::PrepareCache(VariantRun& run) {
  if (cell_.cache == CacheState::kCold) {
    // Written, not only read, so that no line of the workload is left, clean or dirty.
    AgreeOnErrors(communicator_, [&] {
      auto bytes = evict_buffer_.As<uint64_t>();
#pragma omp parallel for num_threads(cell_.threads)
      for (size_t i = 0; i < bytes.size(); i += 8) ++bytes[i];
    });
    return;
  }
  // Another variant ran just before. What does not fit the caches cannot be made warm.
  if (!fits_cache_) return;
  for (int i = 0; i < options_.measure.warmup; ++i) TimeOnce(communicator_, [&] { run.workload->Run(); });
}

// `waited`: seconds of the sample in which the rank that waited most had nothing to do but wait for messages.
void CellRun::MeasureParts(VariantRun& run, SampleRow& sample, double waited) {
  if (communicator_.size() == 1) {
    sample.compute_s = sample.time_s;
    sample.comm_total_s = sample.comm_exposed_s = 0;
    return;
  }
  if (!run.workload->has_parts()) {
    sample.comm_exposed_s = waited;
    sample.compute_s = sample.time_s - waited;
    return;
  }
  if (!options_.measure.measure_parts) return;
  sample.compute_s = TimeOnce(communicator_, [&] { run.workload->RunComputeOnly(); }).max_s;
  sample.comm_total_s = TimeOnce(communicator_, [&] { run.workload->RunExchangeOnly(); }).max_s;
  sample.comm_exposed_s = sample.time_s - sample.compute_s;
}

void CellRun::CheckAgainstPeak(VariantRun& run, SampleRow& sample, double gflops) {
  if (!limits_->IsImpossible(gflops, fastest_run_s_)) return;
  sample.status = CaseStatus::kFailed;
  run.row.status = CaseStatus::kFailed;
  run.row.message = internal::Concatenate("a sample of ", gflops, " GFLOP/s is above the measured peak of ",
                                          limits_->best_peak_gflops());
}

SampleRow CellRun::TakeSample(VariantRun& run, int round, int position, const HardwareLimits& limits) {
  SampleRow sample;
  sample.cell = cell_.id;
  sample.case_id = run.made->id;
  sample.variant = run.made->label;
  sample.round = round;
  sample.order_in_round = position;
  sample.peak_gflops = limits.peak_gflops;
  sample.read_gb_per_s = limits.read_gb_per_s;
  PrepareCache(run);
  const double waited_before = communicator_.traffic().wait_seconds;
  const Timing timing = TimeOnce(communicator_, [&] { run.workload->Run(); });
  const double waited = communicator_.Max(communicator_.traffic().wait_seconds - waited_before);
  sample.time_s = timing.max_s;
  sample.time_min_rank_s = timing.min_s;
  sample.page_faults = timing.page_faults;
  sample.involuntary_switches = timing.involuntary_switches;
  sample.steal_s = timing.steal_s;
  if (one_clock_) sample.barrier_skew_s = timing.barrier_skew_s;
  fastest_run_s_ = std::min(fastest_run_s_, timing.max_s);
  if (last_round_ && !fits_cache_ && reference_) CheckOutput(run);
  if (run.is_measured) MeasureParts(run, sample, waited);
  const double gflops = cell_.flops / timing.max_s * 1e-9;
  CheckAgainstPeak(run, sample, gflops);
  if (round < 0) {
    run.pilot_times.push_back(sample.time_s);
    return sample;
  }
  run.samples.push_back(sample);
  return sample;
}

bool CellRun::TimeIsUp() const {
  // Rank 0's clock decides for all.
  const bool up = communicator_.rank() == 0 && spent_s_ > options_.measure.max_seconds_per_cell;
  return communicator_.Max(int64_t{up}) != 0;
}

StopRequest CellRun::AgreedStop() const {
  return static_cast<StopRequest>(communicator_.Max(static_cast<int64_t>(options_.stop())));
}

// False if a signal asks to stop at once.
bool CellRun::TakeSamples(int round) {
  if (options_.measure.limits_each_round || !limits_of_launch_) {
    limits_of_launch_ = limits_->Measure(fastest_run_s_);
  }
  const HardwareLimits limits = *limits_of_launch_;
  const std::vector<int> order = BalancedOrder(static_cast<int>(runs_.size()), options_.order_seed,
                                               OrderOf::kRound, cell_.id, int64_t{options_.launch} + round);
  for (size_t position = 0; position < order.size(); ++position) {
    VariantRun& run = runs_[order[position]];
    if (!run.is_measured) continue;
    SampleRow sample;
    try {
      sample = TakeSample(run, round, static_cast<int>(position), limits);
    } catch (const Error& error) {
      MarkFailed(run, error.what());
      continue;
    }
    if (!run.is_measured) sample.status = CaseStatus::kFailed;
    // A full disk is not the case's fault: that error leaves the cell, on every rank.
    AgreeOnErrors(communicator_, [&] {
      if (communicator_.rank() == 0 && options_.on_sample) options_.on_sample(sample);
    });
    if (AgreedStop() == StopRequest::kNow) return false;
  }
  return true;
}

// The number of rounds of the one fixed-size test; nullopt if stopped by a signal. The pilot's samples go
// into nothing else. Where ten pilot rounds would eat the cell's budget, fewer must do: then the budget alone
// decides, still before the test begins.
std::optional<int> CellRun::ChooseByPilot(const Stopwatch& stopwatch) {
  const MeasureOptions& measure = options_.measure;
  const double begin = NowSeconds();
  int done = 0;
  while (done < measure.pilot_rounds) {
    if (!TakeSamples(done - measure.pilot_rounds) || AgreedStop() != StopRequest::kNone) return std::nullopt;
    ++done;
    const double elapsed = communicator_.Max(NowSeconds() - begin);
    stopwatch.Look();
    if (TimeIsUp() || PilotIsLong(measure, elapsed)) break;
  }
  std::vector<std::vector<double>> pilot;
  for (const VariantRun& run : runs_) {
    if (run.is_measured) pilot.push_back(run.pilot_times);
  }
  return RoundsAfterPilot(measure, pilot, done, communicator_.Max(NowSeconds() - begin));
}

int CellRun::ChooseRounds() {
  if (is_over()) return 0;
  const Stopwatch stopwatch(spent_s_);
  if (options_.measure.rounds > 0) return options_.measure.rounds;
  if (options_.measure.pilot_rounds == 0) {
    double round_s = 0;
    for (const VariantRun& run : runs_) round_s += run.is_measured ? run.first_run_s : 0;
    return RoundsByTime(options_.measure, round_s);
  }
  const std::optional<int> chosen = ChooseByPilot(stopwatch);
  is_stopped_ = is_over_ = !chosen;
  return chosen.value_or(0);
}

void CellRun::MarkTimeLimited(int done, int rounds) {
  for (VariantRun& run : runs_) {
    if (run.row.status != CaseStatus::kOk) continue;
    run.row.status = CaseStatus::kTimeLimited;
    run.row.message = internal::Concatenate("max_seconds_per_cell (", options_.measure.max_seconds_per_cell,
                                            ") came after ", done, " of ", rounds, " rounds");
  }
}

// At least one round is measured, whatever the time limit.
void CellRun::RunRound(int round, int rounds) {
  if (is_over()) return;
  const Stopwatch stopwatch(spent_s_);
  last_round_ = round + 1 == rounds;
  if (!TakeSamples(round) || (AgreedStop() != StopRequest::kNone && !last_round_)) {
    is_stopped_ = is_over_ = true;
    return;
  }
  stopwatch.Look();
  if (last_round_ || !TimeIsUp()) return;
  MarkTimeLimited(round + 1, rounds);
  is_over_ = true;
}

CellResult CellRun::Finish() {
  CellResult result;
  result.stopped = is_stopped_;
  // Of what does not fit the caches, the last round's outputs were checked: runs are long then.
  if (!is_stopped_ && fits_cache_ && reference_ && AnyAlive()) CheckAll();
  for (VariantRun& run : runs_) {
    SummarizeSamples(run.samples, cell_.flops, run.row);
    result.cases.push_back(run.row);
  }
  return result;
}

}  // namespace

std::unique_ptr<CellMeasurement> BeginCell(Communicator& communicator, const Cell& cell,
                                           const CellOptions& options) {
  Require(communicator.size() == cell.ranks, "cell ", cell.id, " needs ", cell.ranks, " ranks, there are ",
          communicator.size());
  return std::make_unique<CellRun>(communicator, cell, options);
}

CellResult RunCell(Communicator& communicator, const Cell& cell, const CellOptions& options) {
  const std::unique_ptr<CellMeasurement> measurement = BeginCell(communicator, cell, options);
  const int rounds = measurement->ChooseRounds();
  for (int round = 0; round < rounds && !measurement->is_over(); ++round)
    measurement->RunRound(round, rounds);
  return measurement->Finish();
}

}  // namespace attention
