// The one binary: options -> plan -> runs -> files. Everything it does lies in src/experiment.
#include <mpi.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "src/base/error.h"
#include "src/base/regular_file.h"
#include "src/experiment/ask/attach_weights.h"
#include "src/experiment/ask/experiment_file.h"
#include "src/experiment/commands/command_line.h"
#include "src/experiment/commands/embedding.h"
#include "src/experiment/commands/generation.h"
#include "src/experiment/commands/option_tables.h"
#include "src/experiment/commands/perplexity.h"
#include "src/experiment/commands/progress_display.h"
#include "src/experiment/commands/report.h"
#include "src/experiment/measure/choices.h"
#include "src/experiment/measure/experiment_runner.h"
#include "src/experiment/measure/stop_signal.h"
#include "src/experiment/plan/plan.h"
#include "src/experiment/record/build_info.h"
#include "src/experiment/record/results.h"
#include "src/kernels/attention_kernel.h"
#include "src/machine/cgroup_limits.h"
#include "src/machine/machine_info.h"
#include "src/machine/openmp_environment.h"
#include "src/machine/placement.h"
#include "src/mpi/agreement.h"
#include "src/mpi/communicator.h"
#include "src/mpi/environment.h"
#include "src/qwen3/verify.h"

namespace attention {
namespace {

constexpr int64_t kMaximumFileBytes = int64_t{1} << 20;
// A rank that failed gives the others so long to come to an agreement before it ends the job.
constexpr double kPatienceSeconds = 5;

// Only rank 0 speaks. `kept`: what is not lost if nobody can hear it.
void Print(const Communicator& world, const std::string& text, const std::string& kept = "") {
  if (world.rank() != 0) return;
  errno = 0;
  if (std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0) return;
  const int error = errno;
  FailUsage("standard output: cannot be written: ", std::strerror(error), kept);
}

// Cores of the node that this job may use, by affinity and by quota, over its ranks there.
int DefaultThreads(const Communicator& world) {
  const Topology topology = DiscoverTopology(world);
  size_t threads = 0;
  for (const Node& node : topology.nodes) {
    const auto cpus = static_cast<size_t>(
        std::min(static_cast<double>(node.cpus.size()), std::max(1.0, node.granted_cpus)));
    const size_t share = std::max<size_t>(1, cpus / node.ranks.size());
    threads = threads == 0 ? share : std::min(threads, share);
  }
  return static_cast<int>(threads);
}

// Rank 0 reads and broadcasts: the file need not be on every node, and all see the same.
ExperimentSpec ReadSpec(const Communicator& world, const CommandLine& line) {
  if (line.one_off) return *line.one_off;
  std::string text;
  AgreeOnErrors(world, [&] {
    if (world.rank() != 0) return;
    text = line.experiment.empty() ? ReadRunConfig(line.resume)
                                   : ReadWholeFile(line.experiment, kMaximumFileBytes);
    if (!line.profile.empty()) text = WithProfile(text, line.profile);
  });
  text = world.Broadcast(text, 0);
  const std::string name =
      line.experiment.empty() ? line.resume + "/manifest.json (config)" : line.experiment;
  return ParseExperiment(text, name);
}

nlohmann::json BuildRecord() {
  const BuildInfo build = ThisBuild();
  return {{"git_revision", build.git_revision},
          {"git_dirty", build.git_dirty},
          {"compiler", build.compiler},
          {"flags", build.flags}};
}

std::string VersionText() {
  const BuildInfo build = ThisBuild();
  return "benchmark_qwen3, revision " + build.git_revision +
         (build.git_dirty ? " with uncommitted changes" : "") + "\n" + build.compiler + ", " + build.flags +
         "\n";
}

// results/NAME/TIME, the same on every rank.
std::string DefaultDirectory(const Communicator& world, const std::string& name) {
  std::string time = UtcTime();
  std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
  return world.Broadcast("results/" + name + "/" + time, 0);
}

std::optional<RunDirectory::Options> DirectoryOptions(const Communicator& world, const CommandLine& line,
                                                      const ExperimentSpec& spec) {
  RunDirectory::Options options;
  options.resume = !line.resume.empty();
  options.path = options.resume ? line.resume : line.output;
  options.launch = line.launch;
  options.build_info = BuildRecord();
  options.order_seed = spec.measure.order_seed;
  options.is_other_plan = line.launches > 0;
  if (options.path.empty()) {
    if (line.one_off) return std::nullopt;
    options.path = DefaultDirectory(world, spec.name);
  }
  return options;
}

// Ids of cells, one a line; every one must be the plan's. The same on every rank.
std::set<std::string> ReadCells(const Communicator& world, const std::string& path, const Plan& plan) {
  std::string text;
  AgreeOnErrors(world, [&] {
    if (world.rank() == 0) text = ReadWholeFile(path, kMaximumFileBytes);
  });
  std::istringstream lines(world.Broadcast(text, 0));
  std::set<std::string> known, chosen;
  for (const Cell& cell : plan.cells) known.insert(cell.id);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.empty()) continue;
    if (known.count(line) == 0) {
      FailUsage(path, ":", number, ": '", line.substr(0, 40), "' is no cell of this experiment");
    }
    chosen.insert(line);
  }
  if (chosen.empty()) FailUsage(path, ": it names no cell");
  return chosen;
}

// Rank 0 reads what the launches so far chose; the others need not know.
nlohmann::json KnownChoices(const Communicator& world,
                            const std::optional<RunDirectory::Options>& directory) {
  nlohmann::json known = nlohmann::json::object();
  AgreeOnErrors(world, [&] {
    if (world.rank() == 0 && directory) known = ReadChoices(directory->path);
  });
  return known;
}

ExitStatus RunPlan(const Communicator& world, const CommandLine& line, const ExperimentSpec& spec,
                   const Plan& plan) {
  RunOptions options;
  options.cell.backend = MakeAttentionKernel;
  options.cell.launch = line.launch;
  options.directory = DirectoryOptions(world, line, spec);
  if (!line.cells.empty()) options.only_cells = ReadCells(world, line.cells, plan);
  std::unique_ptr<ProgressDisplay> display;
  if (world.rank() == 0) display = std::make_unique<ProgressDisplay>();
  options.progress = [&](const std::string& text) { display->Show(text); };
  CatchStopSignals();
  // Outlives the summary, whose rows point into it.
  std::optional<PlanWithChoices> chosen;
  if (plan.has_automatic_cases()) {
    ChoiceOptions choice;
    choice.backend = MakeAttentionKernel;
    choice.known = KnownChoices(world, options.directory);
    choice.only_cells = options.only_cells;
    choice.on_probe = [&](const Cell& cell) { display->Show("probing for cell " + cell.id); };
    chosen = Choose(world, spec, plan, choice);
    if (options.directory) options.directory->choices = chosen->choices;
  }
  const RunSummary summary = RunExperiment(world, spec, chosen ? chosen->plan : plan, options);
  display.reset();
  // A launch of many is no result.
  if (spec.launches() == 1) {
    const std::string kept = options.directory ? "; the results are in " + options.directory->path : "";
    Print(world, ResultReport(summary.rows), kept);
    if (options.directory) Print(world, "\nresults in " + options.directory->path + "\n", kept);
  }
  if (summary.cells_resumed > 0) {
    Print(world,
          internal::Concatenate(summary.cells_resumed, " cells were complete from an earlier attempt\n"));
  }
  if (summary.stopped && options.directory) {
    Print(world, "stopped by a signal; --resume " + options.directory->path + " goes on\n");
  }
  return summary.exit_status();
}

// One table per cell and algorithm.
ExitStatus Explain(const Communicator& world, const Plan& plan) {
  if (!plan.has_automatic_cases()) {
    FailUsage("--explain: no variant is auto; give --parallel-strategy auto, or variant: [auto] in a file");
  }
  const Topology topology = DiscoverTopology(world);
  const int64_t available = world.Min(AvailableMemoryBytes());
  AgreeOnErrors(world,
                [&] { CheckPlanAgainstMachine(plan, topology, world.size(), SupportedIsas(), available); });
  for (const Cell& cell : plan.cells) {
    std::set<AttentionAlgorithm> algorithms;
    for (const Case& made : cell.cases) {
      const AttentionAlgorithm algorithm = made.variant.algorithm;
      if (!made.is_auto || !algorithms.insert(algorithm).second) continue;
      const Choice choice = ChooseForCell(world, topology, cell, algorithm, MakeAttentionKernel);
      if (world.rank() == 0) Print(world, ExplainReport(cell, choice) + "\n");
    }
  }
  return ExitStatus::kOk;
}

ExitStatus RunVerify(Communicator& world, const CommandLine& line) {
  VerifyRequest request = line.verify_request;
  if (request.isas.empty()) request.isas = SupportedIsas();
  request.backend = MakeAttentionKernel;
  AgreeOnErrors(world, [&] { RequireTeam(request.threads); });
  const std::vector<VerifyResult> results = VerifyFile(world, line.verify, request, nullptr);
  Print(world, VerifyReport(line.verify, results));
  const bool passed =
      std::all_of(results.begin(), results.end(), [](const VerifyResult& result) { return result.passed; });
  return passed ? ExitStatus::kOk : ExitStatus::kCaseFailed;
}

// Both callbacks of these are rank 0's.
ExitStatus RunGenerate(const Communicator& world, GenerateRequest request) {
  AttachWeights(request.spec, world, ModelOutput::kLogits);
  ProgressDisplay display;
  GenerateGreedily(
      world, std::move(request), MakeAttentionKernel, [&](const std::string& text) { display.Show(text); },
      [&](const std::string& text) {
        display.Clear();
        Print(world, text);
      });
  return ExitStatus::kOk;
}

ExitStatus RunPerplexity(const Communicator& world, PerplexityRequest request) {
  AttachWeights(request.spec, world, ModelOutput::kLogits);
  ProgressDisplay display;
  const PerplexityResult result = MeasurePerplexity(world, request, MakeAttentionKernel,
                                                    [&](const std::string& text) { display.Show(text); });
  display.Clear();
  Print(world, PerplexityReport(result));
  return ExitStatus::kOk;
}

ExitStatus RunEmbed(const Communicator& world, EmbedRequest request) {
  AttachWeights(request.spec, world, ModelOutput::kHiddenStates);
  ProgressDisplay display;
  EmbedTexts(
      world, std::move(request), MakeAttentionKernel, [&](const std::string& text) { display.Show(text); },
      [&](const std::string& text) {
        display.Clear();
        Print(world, text);
      });
  return ExitStatus::kOk;
}

ExitStatus Run(Communicator& world, const std::vector<std::string>& arguments) {
  const std::string alone = MpiEnvironment::WhyNotAlone();
  if (!alone.empty()) FailUsage(alone);
  const int default_threads = DefaultThreads(world);
  const CommandLine line = ParseCommandLine(arguments, default_threads, world.size());
  std::vector<std::string> notes = line.notes;
  for (const std::string& name : HiddenOpenMpVariables()) {
    notes.push_back("note: " + name + " of the environment is not used; --placement says where threads run");
  }
  for (const std::string& note : notes) {
    if (world.rank() == 0) std::fprintf(stderr, "%s\n", note.c_str());
  }
  switch (line.mode) {
    case CommandLine::Mode::kHelp:
      Print(world, HelpText());
      return ExitStatus::kOk;
    case CommandLine::Mode::kVersion:
      Print(world, VersionText());
      return ExitStatus::kOk;
    case CommandLine::Mode::kList:
      Print(world, ListReport());
      return ExitStatus::kOk;
    case CommandLine::Mode::kListColumns:
      Print(world, ColumnsText());
      return ExitStatus::kOk;
    case CommandLine::Mode::kVerify:
      return RunVerify(world, line);
    case CommandLine::Mode::kGenerate:
      return RunGenerate(world, line.generate);
    case CommandLine::Mode::kPerplexity:
      return RunPerplexity(world, line.perplexity);
    case CommandLine::Mode::kEmbed:
      return RunEmbed(world, line.embed);
    default:
      break;
  }
  ExperimentSpec spec = ReadSpec(world, line);
  if (line.order_seed) spec.measure.order_seed = line.order_seed;
  if (line.launches > 0) spec.looks = LooksUpTo(spec.looks, line.launches);
  AttachWeights(spec, world);
  const Plan plan = MakePlan(spec, {BestIsa()});
  if (line.mode == CommandLine::Mode::kPrintGeometry) {
    int threads = 1;
    for (const Cell& cell : plan.cells) threads = std::max(threads, cell.threads);
    Print(world, internal::Concatenate("name ", spec.name, "\nranks ", plan.max_ranks, "\nthreads ", threads,
                                       "\nlaunches ", spec.launches(), "\n"));
    return ExitStatus::kOk;
  }
  if (line.mode == CommandLine::Mode::kDryRun) {
    Print(world, PlanReport(spec, plan));
    return ExitStatus::kOk;
  }
  if (line.mode == CommandLine::Mode::kExplain) return Explain(world, plan);
  return RunPlan(world, line, spec, plan);
}

}  // namespace
}  // namespace attention

int main(int argc, char** argv) {
  using attention::Error;
  attention::MpiEnvironment environment(&argc, &argv);
  attention::Communicator world(MPI_COMM_WORLD), ending(MPI_COMM_WORLD);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  attention::ExitStatus status = attention::ExitStatus::kCaseFailed;
  try {
    // Whatever goes wrong on one rank ends all of them: in order, or within seconds.
    attention::AgreeOnErrorsOrEndJob(ending, "benchmark_qwen3", attention::kPatienceSeconds,
                                     [&] { status = attention::Run(world, arguments); });
  } catch (const Error& error) {
    if (world.rank() == 0) std::fprintf(stderr, "benchmark_qwen3: %s\n", error.what());
    status = error.status();
  }
  return static_cast<int>(status);
}
