#include "src/experiment/measure/experiment_runner.h"

#include <mpi.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "src/base/error.h"
#include "src/experiment/ask/axes.h"
#include "src/experiment/measure/orders.h"
#include "src/experiment/measure/turns.h"
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
  record["transparent_hugepages"] = TransparentHugePages();
  const TimerInfo timer = MeasureTimer();
  record["timer_resolution_s"] = timer.resolution_s;
  record["timer_cost_s"] = timer.cost_s;
  DescribeClock(record);
  return record;
}

// The resident sets of a node's ranks, in bytes.
double MemoryOnNode(const Cell& cell, size_t most_ranks) {
  return static_cast<double>(cell.memory_bytes_per_rank) *
         static_cast<double>(std::min<size_t>(most_ranks, static_cast<size_t>(cell.ranks)));
}

class ExperimentRun {
 public:
  ExperimentRun(const Communicator& world, const ExperimentSpec& spec, const Plan& plan,
                const RunOptions& options)
      : world_(world), spec_(spec), plan_(plan), options_(options) {}

  RunSummary Run() {
    topology_ = DiscoverTopology(world_);
    // A node may have less than another: every rank says what it sees.
    const int64_t available = world_.Min(AvailableMemoryBytes());
    AgreeOnErrors(world_, [&] {
      skipped_ = CheckPlanAgainstMachine(plan_, topology_, world_.size(), SupportedIsas(), available);
    });
    steal_at_begin_ = StealSeconds();
    AgreeOnErrors(world_, [&] { OpenDirectory(); });
    ChooseTurns();
    begin_ = NowSeconds();
    for (size_t i = 0; i < turns_.size() && !summary_.stopped; ++i) RunOneTurn(i);
    summary_.any_failed = world_.Max(int64_t{summary_.any_failed}) != 0;
    AgreeOnErrors(world_, [&] { CloseDirectory(); });
    return summary_;
  }

 private:
  void OpenDirectory();
  void CloseDirectory();
  void ChooseTurns();
  void RunOneTurn(size_t index);
  CellOptions OptionsOf(const Cell& cell);
  void Skip(const Cell& cell);
  void Record(const TurnResult& result, const std::vector<TurnMember>& members);
  void Record(const std::vector<CaseRow>& rows);
  // `activity`: "" or "doing this, ".
  void ShowProgress(const Cell& cell, const std::string& activity = "");
  void ShowLoading(const Cell& cell, int64_t layers_loaded, int64_t layers);

  const Communicator& world_;
  const ExperimentSpec& spec_;
  const Plan& plan_;
  const RunOptions& options_;
  Topology topology_;
  uint64_t order_seed_ = 0;
  bool is_checked_ = true;                       // results, in this launch
  std::map<std::string, std::string> skipped_;   // why, by id of the cell
  std::vector<std::vector<const Cell*>> turns_;  // of this launch, in their order
  size_t cell_count_ = 0;                        // of all turns
  size_t cells_begun_ = 0;
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

void ExperimentRun::ChooseTurns() {
  int64_t seed = static_cast<int64_t>(spec_.measure.order_seed.value_or(spec_.measure.seed));
  if (directory_ != nullptr) seed = static_cast<int64_t>(directory_->order_seed());
  order_seed_ = static_cast<uint64_t>(std::stoll(world_.Broadcast(std::to_string(seed), 0)));
  const std::vector<int> looks = directory_ != nullptr ? directory_->looks() : spec_.looks;
  // In the first launch and in the last one before each look, where a cell may drop out.
  const int launch = options_.cell.launch;
  is_checked_ = launch == 0 || launch >= looks.back() ||
                std::find(looks.begin(), looks.end(), launch + 1) != looks.end();
  is_checked_ = world_.Broadcast(is_checked_ ? "checked" : "", 0) == "checked";
  const std::vector<std::vector<size_t>> turns = CellTurns(plan_.cells);
  for (size_t turn : CellOrder(turns.size(), order_seed_, options_.cell.launch)) {
    std::vector<const Cell*> cells;
    for (size_t index : turns[turn]) {
      const Cell& cell = plan_.cells[index];
      if (options_.only_cells && options_.only_cells->count(cell.id) == 0) continue;
      cells.push_back(&cell);
      estimate_total_ += cell.seconds_estimate;
    }
    cell_count_ += cells.size();
    if (!cells.empty()) turns_.push_back(cells);
  }
}

void ExperimentRun::ShowProgress(const Cell& cell, const std::string& activity) {
  if (world_.rank() != 0 || !options_.progress) return;
  shown_ = NowSeconds();
  // The plan's guess, corrected by how it did so far.
  double left = estimate_total_ - estimate_done_;
  const double elapsed = NowSeconds() - begin_;
  if (estimate_done_ > 0) left *= elapsed / estimate_done_;
  std::string factors;
  for (const Axis& axis : Axes()) {
    if (!axis.progress.empty()) factors += axis.progress + axis.print(cell);
  }
  options_.progress(internal::Concatenate("[", cells_begun_, "/", cell_count_, "]", factors, ", ", activity,
                                          FormatDuration(left), " left"));
}

// Not every layer: a log would fill with lines.
void ExperimentRun::ShowLoading(const Cell& cell, int64_t layers_loaded, int64_t layers) {
  constexpr double kSecondsBetween = 1;
  if (NowSeconds() - shown_ < kSecondsBetween) return;
  ShowProgress(cell, internal::Concatenate("loading weights, layer ", layers_loaded, " of ", layers, ", "));
}

// What is complete from an earlier attempt is left out, and the rest of its turn measured without it.
void ExperimentRun::RunOneTurn(size_t index) {
  std::vector<TurnMember> members;
  double estimate = 0;
  for (const Cell* cell : turns_[index]) {
    const bool is_complete = world_.Max(int64_t{directory_ != nullptr && directory_->IsComplete(*cell)}) != 0;
    if (is_complete) {
      ++summary_.cells_resumed;
      ++cells_begun_;
      estimate_total_ -= cell->seconds_estimate;
      continue;
    }
    if (skipped_.count(cell->id) > 0) {
      Skip(*cell);
      continue;
    }
    members.push_back({cell, OptionsOf(*cell)});
    estimate += cell->seconds_estimate;
  }
  if (members.empty()) return;
  const TurnResult result = RunTurn(world_, topology_, members, [&](size_t member) {
    ++cells_begun_;
    ShowProgress(*members[member].cell);
  });
  AgreeOnErrors(world_, [&] { Record(result, members); });
  // An idle rank may be the only one that was sent the signal. After the last cell it changes nothing.
  const bool asked = options_.cell.stop && options_.cell.stop() != StopRequest::kNone;
  const bool more = index + 1 < turns_.size();
  summary_.stopped = world_.Max(int64_t{result.stopped || (asked && more)}) != 0;
  estimate_done_ += estimate;
}

// Its rows say why; the other cells go on.
void ExperimentRun::Skip(const Cell& cell) {
  ++cells_begun_;
  ++summary_.cells_run;
  estimate_total_ -= cell.seconds_estimate;
  std::vector<CaseRow> rows;
  for (const Case& made : cell.cases) {
    CaseRow& row = rows.emplace_back();
    row.cell = &cell;
    row.made = &made;
    row.nodes = static_cast<int>(topology_.nodes.size());
    row.status = CaseStatus::kSkippedMemory;
    row.message = skipped_.at(cell.id);
  }
  AgreeOnErrors(world_, [&] { Record(rows); });
}

CellOptions ExperimentRun::OptionsOf(const Cell& cell) {
  CellOptions options = options_.cell;
  options.measure = spec_.measure;
  options.reference_rows = spec_.reference_rows;
  options.order_seed = order_seed_;
  options.check_results = is_checked_;
  options.on_loading = [this, &cell](int64_t done, int64_t all) { ShowLoading(cell, done, all); };
  if (directory_ != nullptr) options.on_sample = [&](const SampleRow& row) { directory_->Append(row); };
  return options;
}

void ExperimentRun::Record(const TurnResult& result, const std::vector<TurnMember>& members) {
  if (result.stopped) return;
  for (size_t i = 0; i < members.size(); ++i) {
    const Cell& cell = *members[i].cell;
    const std::vector<CaseRow>& rows = result.cells[i].cases;
    ++summary_.cells_run;
    placements_[internal::Concatenate(cell.ranks, "x", cell.threads, " ", Name(cell.placement))] =
        result.pinned[i];
    Record(rows);
  }
}

void ExperimentRun::Record(const std::vector<CaseRow>& rows) {
  for (const CaseRow& row : rows) {
    summary_.any_failed = summary_.any_failed || row.status == CaseStatus::kFailed;
  }
  if (world_.rank() != 0) return;
  if (directory_ != nullptr) directory_->Append(rows);
  summary_.rows.insert(summary_.rows.end(), rows.begin(), rows.end());
  if (options_.on_cell) options_.on_cell(rows);
}

}  // namespace

ExitStatus RunSummary::exit_status() const {
  if (stopped) return ExitStatus::kInterrupted;
  return any_failed ? ExitStatus::kCaseFailed : ExitStatus::kOk;
}

std::map<std::string, std::string> CheckPlanAgainstMachine(const Plan& plan, const Topology& topology,
                                                           int world_size, const std::vector<Isa>& supported,
                                                           int64_t available_bytes) {
  std::vector<std::string> names;
  for (Isa isa : supported) names.emplace_back(Name(isa));
  size_t most_ranks = 1;
  for (const Node& node : topology.nodes) most_ranks = std::max(most_ranks, node.ranks.size());
  std::map<std::string, double> bundle_bytes;
  for (const Cell& cell : plan.cells) bundle_bytes[cell.bundle] += MemoryOnNode(cell, most_ranks);
  std::map<std::string, std::string> skipped;
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
    // Cells that are measured by turns are in memory together.
    const bool is_alone = cell.bundle.empty();
    const double bytes = is_alone ? MemoryOnNode(cell, most_ranks) : bundle_bytes.at(cell.bundle);
    const auto available = static_cast<double>(available_bytes);
    if (available_bytes <= 0 || bytes <= 0.95 * available) continue;
    skipped[cell.id] = internal::Concatenate("needs about ", FormatBytes(bytes), " of memory on a node",
                                             is_alone ? "" : ", with the cells that claims compare it with",
                                             ", which has ", FormatBytes(available));
  }
  if (skipped.size() == plan.cells.size()) {
    const Cell& cell = plan.cells.front();
    FailUsage("cell ", cell.id, " (", cell.model.name, ", seq_len ", cell.seq_len, ", batch ",
              cell.problem.batch, ") ", skipped.at(cell.id),
              skipped.size() > 1 ? ", and no other cell fits" : "",
              "; shorten seq_len or leave out +standard");
  }
  return skipped;
}

RunSummary RunExperiment(const Communicator& world, const ExperimentSpec& spec, const Plan& plan,
                         const RunOptions& options) {
  return ExperimentRun(world, spec, plan, options).Run();
}

}  // namespace attention
