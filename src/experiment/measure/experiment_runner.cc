#include "src/experiment/measure/experiment_runner.h"

#include <mpi.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "src/base/error.h"
#include "src/experiment/ask/axes.h"
#include "src/experiment/measure/orders.h"
#include "src/experiment/text/text_table.h"
#include "src/machine/cgroup_limits.h"
#include "src/machine/machine_info.h"
#include "src/machine/machine_peak.h"
#include "src/mpi/agreement.h"

namespace attention {
namespace {

std::string MpiVersion() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(text, &length);
  std::string version(text, static_cast<size_t>(length));
  return version.substr(0, version.find_first_of("\n,"));
}

// What the peak means: floating-point operations of one core per cycle of its clock, measured side by side.
// Two pipes of multiply-add make 4 x lanes.
void DescribeClock(nlohmann::json& record) {
  constexpr double kSliceSeconds = 2e-3;
  constexpr int kSlices = 5;
  double clock = 0;
  std::map<Isa, double> peaks;
  for (int slice = 0; slice < kSlices; ++slice) {
    clock = std::max(clock, MeasureClockGhz(kSliceSeconds));
    for (Isa isa : SupportedIsas()) {
      peaks[isa] = std::max(peaks[isa], MeasurePeakGflops(isa, DataType::kFloat32, 1, kSliceSeconds));
    }
  }
  if (clock == 0) return;
  record["clock_ghz"] = clock;
  for (const auto& [isa, peak] : peaks) {
    record["one_core_peak_gflops"][std::string(Name(isa))] = peak;
    record["flop_per_cycle"][std::string(Name(isa))] = peak / clock;
  }
}

nlohmann::json DescribeMachine(const Topology& topology) {
  nlohmann::json record;
  for (const Node& node : topology.nodes) {
    record["hosts"].push_back(
        {{"host", node.host}, {"ranks", node.ranks}, {"cpus", FormatCpuList(node.cpus)}});
  }
  record["caches"] = nlohmann::json::array();
  for (const CacheInfo& cache : CpuCaches()) {
    record["caches"].push_back({{"level", cache.level}, {"type", cache.type}, {"bytes", cache.bytes}});
  }
  for (Isa isa : SupportedIsas()) record["isa"].push_back(Name(isa));
  record["mpi"] = MpiVersion();
  record["affinity"] = topology.affinities;
  record["physical_memory_bytes"] = PhysicalMemoryBytes();
  const TimerInfo timer = MeasureTimer();
  record["timer_resolution_s"] = timer.resolution_s;
  record["timer_cost_s"] = timer.cost_s;
  DescribeClock(record);
  return record;
}

class ExperimentRun {
 public:
  ExperimentRun(const Communicator& world, const ExperimentSpec& spec, const Plan& plan,
                const RunOptions& options)
      : world_(world), spec_(spec), plan_(plan), options_(options) {}

  RunSummary Run() {
    topology_ = DiscoverTopology(world_);
    AgreeOnErrors(world_, [&] { CheckPlanAgainstMachine(plan_, topology_, world_.size(), SupportedIsas()); });
    steal_at_begin_ = StealSeconds();
    AgreeOnErrors(world_, [&] { OpenDirectory(); });
    ChooseCells();
    begin_ = NowSeconds();
    for (size_t i = 0; i < cells_.size() && !summary_.stopped; ++i) RunOneCell(i);
    summary_.any_failed = world_.Max(int64_t{summary_.any_failed}) != 0;
    AgreeOnErrors(world_, [&] { CloseDirectory(); });
    return summary_;
  }

 private:
  void OpenDirectory();
  void CloseDirectory();
  void ChooseCells();
  void RunOneCell(size_t index);
  void MeasureCell(size_t index, const Assignment& assignment);
  void Record(const CellResult& result);
  // `activity`: "" or "doing this, ".
  void ShowProgress(size_t index, const std::string& activity = "");
  void ShowLoading(size_t index, int64_t layers_loaded, int64_t layers);

  const Communicator& world_;
  const ExperimentSpec& spec_;
  const Plan& plan_;
  const RunOptions& options_;
  Topology topology_;
  uint64_t order_seed_ = 0;
  bool is_checked_ = true;                   // results, in this launch
  std::vector<const Cell*> cells_;           // of this launch, in their order
  std::unique_ptr<RunDirectory> directory_;  // rank 0
  std::map<std::string, std::string> placements_;
  RunSummary summary_;
  double begin_ = 0;
  double shown_ = 0;  // when progress was last shown
  double steal_at_begin_ = 0;
  double estimate_total_ = 0;
  double estimate_done_ = 0;
};

void ExperimentRun::OpenDirectory() {
  if (world_.rank() != 0 || !options_.directory) return;
  RunDirectory::Options options = *options_.directory;
  for (const Cell& cell : plan_.cells) options.case_counts[cell.id] = cell.cases.size();
  options.facts = {{"cpu", CpuModelName()}, {"ranks", world_.size()}};
  if (spec_.weights != nullptr) options.facts["weights"] = DescribeWeights(*spec_.weights);
  directory_ = std::make_unique<RunDirectory>(spec_, options);
  summary_.any_failed = directory_->HadFailures();
  directory_->launch_record().update(DescribeMachine(topology_));
  directory_->launch_record()["started"] = UtcTime();
  directory_->SaveManifest();
}

void ExperimentRun::CloseDirectory() {
  if (directory_ == nullptr) return;
  nlohmann::json& record = directory_->launch_record();
  record["ended"] = UtcTime();
  record["exit_status"] = static_cast<int>(summary_.exit_status());
  record["steal_time_s"] = StealSeconds() - steal_at_begin_;
  record["pinning"] = placements_;
  directory_->SaveManifest();
}

void ExperimentRun::ChooseCells() {
  int64_t seed = static_cast<int64_t>(spec_.measure.order_seed.value_or(spec_.measure.seed));
  if (directory_ != nullptr) seed = static_cast<int64_t>(directory_->order_seed());
  order_seed_ = static_cast<uint64_t>(std::stoll(world_.Broadcast(std::to_string(seed), 0)));
  const std::vector<int> looks = directory_ != nullptr ? directory_->looks() : spec_.looks;
  // In the first launch and in the last one before each look, where a cell may drop out.
  const int launch = options_.cell.launch;
  is_checked_ = launch == 0 || launch >= looks.back() ||
                std::find(looks.begin(), looks.end(), launch + 1) != looks.end();
  is_checked_ = world_.Broadcast(is_checked_ ? "checked" : "", 0) == "checked";
  for (size_t index : CellOrder(plan_.cells.size(), order_seed_, options_.cell.launch)) {
    const Cell& cell = plan_.cells[index];
    if (options_.only_cells && options_.only_cells->count(cell.id) == 0) continue;
    cells_.push_back(&cell);
    estimate_total_ += cell.seconds_estimate;
  }
}

void ExperimentRun::ShowProgress(size_t index, const std::string& activity) {
  if (world_.rank() != 0 || !options_.progress) return;
  shown_ = NowSeconds();
  const Cell& cell = *cells_[index];
  // The plan's guess, corrected by how it did so far.
  double left = estimate_total_ - estimate_done_;
  const double elapsed = NowSeconds() - begin_;
  if (estimate_done_ > 0) left *= elapsed / estimate_done_;
  std::string factors;
  for (const Axis& axis : Axes()) {
    if (!axis.progress.empty()) factors += axis.progress + axis.print(cell);
  }
  options_.progress(internal::Concatenate("[", index + 1, "/", cells_.size(), "]", factors, ", ", activity,
                                          FormatDuration(left), " left"));
}

// Not every layer: a log would fill with lines.
void ExperimentRun::ShowLoading(size_t index, int64_t layers_loaded, int64_t layers) {
  constexpr double kSecondsBetween = 1;
  if (NowSeconds() - shown_ < kSecondsBetween) return;
  ShowProgress(index, internal::Concatenate("loading weights, layer ", layers_loaded, " of ", layers, ", "));
}

// Participants measure; the others sleep until they are done.
void ExperimentRun::RunOneCell(size_t index) {
  const Cell& cell = *cells_[index];
  const bool complete = world_.Max(int64_t{directory_ != nullptr && directory_->IsComplete(cell)}) != 0;
  if (complete) {
    ++summary_.cells_resumed;
    estimate_total_ -= cell.seconds_estimate;
    return;
  }
  ShowProgress(index);
  const Assignment assignment = AssignRanks(topology_, cell.ranks, cell.threads, cell.placement);
  std::optional<Error> error;
  try {
    MeasureCell(index, assignment);
  } catch (const Error& caught) {
    error = caught;
  }
  world_.SleepingBarrier();
  AgreeOnErrors(world_, [&] {
    if (error) throw *error;
  });
  // An idle rank may be the only one that was sent the signal. After the last cell it changes nothing.
  const bool asked = options_.cell.stop && options_.cell.stop() != StopRequest::kNone;
  const bool more = index + 1 < cells_.size();
  summary_.stopped = world_.Max(int64_t{summary_.stopped || (asked && more)}) != 0;
  estimate_done_ += cell.seconds_estimate;
}

void ExperimentRun::MeasureCell(size_t index, const Assignment& assignment) {
  const Cell& cell = *cells_[index];
  std::optional<Place> place = TakePlace(world_, assignment, cell.threads);
  if (!place) {
    ++summary_.cells_run;
    return;
  }
  Communicator& group = place->group;
  std::string all_pinned;
  for (int rank = 0; rank < group.size(); ++rank) {
    all_pinned += (rank == 0 ? "" : " | ") + group.Broadcast(place->pinned, rank);
  }
  placements_[internal::Concatenate(cell.ranks, "x", cell.threads, " ", Name(cell.placement))] = all_pinned;
  CellOptions options = options_.cell;
  options.measure = spec_.measure;
  options.reference_rows = spec_.reference_rows;
  options.order_seed = order_seed_;
  options.check_results = is_checked_;
  options.nodes = assignment.nodes;
  options.oversubscribed = assignment.oversubscribed;
  options.on_loading = [this, index](int64_t done, int64_t all) { ShowLoading(index, done, all); };
  if (directory_ != nullptr) options.on_sample = [&](const SampleRow& row) { directory_->Append(row); };
  const CellResult result = RunCell(group, cell, options);
  AgreeOnErrors(group, [&] { Record(result); });
}

void ExperimentRun::Record(const CellResult& result) {
  if (result.stopped) {
    summary_.stopped = true;
    return;
  }
  ++summary_.cells_run;
  for (const CaseRow& row : result.cases) {
    summary_.any_failed = summary_.any_failed || row.status == CaseStatus::kFailed;
  }
  if (world_.rank() != 0) return;
  if (directory_ != nullptr) directory_->Append(result.cases);
  summary_.rows.insert(summary_.rows.end(), result.cases.begin(), result.cases.end());
  if (options_.on_cell) options_.on_cell(result.cases);
}

}  // namespace

ExitStatus RunSummary::exit_status() const {
  if (stopped) return ExitStatus::kInterrupted;
  return any_failed ? ExitStatus::kCaseFailed : ExitStatus::kOk;
}

void CheckPlanAgainstMachine(const Plan& plan, const Topology& topology, int world_size,
                             const std::vector<Isa>& supported) {
  std::vector<std::string> names;
  for (Isa isa : supported) names.emplace_back(Name(isa));
  const int64_t available = AvailableMemoryBytes();
  size_t most_ranks = 1;
  for (const Node& node : topology.nodes) most_ranks = std::max(most_ranks, node.ranks.size());
  for (const Cell& cell : plan.cells) {
    if (cell.ranks > world_size) {
      FailUsage(cell.where, ": ", cell.ranks, " ranks asked, but ", world_size,
                " started; start with mpirun -np ", plan.max_ranks);
    }
    if (std::find(supported.begin(), supported.end(), cell.isa) == supported.end()) {
      std::string list;
      for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
      FailUsage("isa: this CPU lacks ", Name(cell.isa), ", it has ", list);
    }
    double bytes = 0;
    for (const Case& made : cell.cases) bytes += static_cast<double>(made.memory_bytes_per_rank);
    const auto on_node = static_cast<double>(std::min<size_t>(most_ranks, static_cast<size_t>(cell.ranks)));
    if (available > 0 && bytes * on_node > 0.95 * static_cast<double>(available)) {
      FailUsage("cell ", cell.id, " (", cell.model.name, ", seq_len ", cell.seq_len, ", batch ",
                cell.problem.batch, ") needs about ", FormatBytes(bytes * on_node),
                " of memory on a node, which has ", FormatBytes(static_cast<double>(available)),
                "; shorten seq_len or leave out +standard");
    }
  }
}

RunSummary RunExperiment(const Communicator& world, const ExperimentSpec& spec, const Plan& plan,
                         const RunOptions& options) {
  return ExperimentRun(world, spec, plan, options).Run();
}

}  // namespace attention
