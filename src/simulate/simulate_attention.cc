// An experiment on a simulated machine: the project's strategies and messages, kernels by what they cost.
#include <boost/program_options.hpp>
#include <cstdio>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/base/regular_file.h"
#include "src/base/sha256.h"
#include "src/experiment/ask/experiment_file.h"
#include "src/experiment/ask/yaml_reader.h"
#include "src/experiment/plan/plan.h"
#include "src/experiment/record/build_info.h"
#include "src/experiment/record/run_directory.h"
#include "src/simulate/calibration.h"
#include "src/simulate/platform.h"
#include "src/simulate/simulated_cell.h"

namespace attention {
namespace {

namespace po = boost::program_options;

constexpr int64_t kMostBytes = int64_t{4} << 20;

struct CommandLine {
  std::string experiment, profile, platform, calibration, output;
  bool resume = false;
  bool joins_heads = false;
  int draws = 0;
};

po::options_description Options() {
  po::options_description options("simulate_attention");
  options.add_options()("experiment", po::value<std::string>(), "YAML file, as benchmark_qwen3 takes it")(
      "profile", po::value<std::string>(), "a variant that the file has under `profiles`")(
      "platform", po::value<std::string>(), "YAML file of the machine; see src/simulate/platforms")(
      "calibration", po::value<std::string>(), "what kernels cost; write_calibration makes it")(
      "output", po::value<std::string>(), "run directory, made new")(
      "resume", "go on with the interrupted run in --output")(
      "join-heads", "all heads of a block travel as one message: as many bytes, sooner simulated")(
      "draws", po::value<std::string>(),
      "simulate each case on so many machines drawn around the platform, too (0, or 2 to 1000): its "
      "`uncertainty` says how far; one sample each, round 0 being the platform itself")("help", "print this");
  return options;
}

std::string Given(const po::variables_map& given, const char* name) {
  if (given.count(name) == 0) FailUsage("--", name, " is missing; see --help");
  return given[name].as<std::string>();
}

CommandLine Parse(const po::variables_map& given) {
  CommandLine line;
  line.experiment = Given(given, "experiment");
  if (given.count("profile") > 0) line.profile = Given(given, "profile");
  line.platform = Given(given, "platform");
  line.calibration = Given(given, "calibration");
  line.output = Given(given, "output");
  line.resume = given.count("resume") > 0;
  line.joins_heads = given.count("join-heads") > 0;
  if (given.count("draws") > 0) {
    const std::optional<int64_t> draws = ParseInteger(given["draws"].as<std::string>());
    if (!draws || *draws < 0 || *draws == 1 || *draws > 1000) {
      FailUsage("--draws takes 0, or a whole number from 2 to 1000");
    }
    line.draws = static_cast<int>(*draws);
  }
  return line;
}

RunDirectory Open(const CommandLine& line, const ExperimentSpec& spec, const Plan& plan,
                  const Platform& platform, const std::string& calibration) {
  RunDirectory::Options options;
  options.path = line.output;
  options.resume = line.resume;
  const BuildInfo build = ThisBuild();
  options.build_info = {{"git_revision", build.git_revision},
                        {"git_dirty", build.git_dirty},
                        {"compiler", build.compiler},
                        {"flags", build.flags}};
  options.facts = {{"cpu", "simulated: " + platform.name},
                   {"ranks", plan.max_ranks},
                   {"backend", "simulated"},
                   {"platform", {{"name", platform.name}, {"sha256", platform.sha256}}},
                   {"calibration_sha256", Sha256(calibration)},
                   {"joins_heads", line.joins_heads},
                   {"draws", line.draws}};
  if (line.draws > 0) {
    const Uncertainty& uncertainty = platform.uncertainty;
    options.facts["uncertainty"] = {{"core_speed", uncertainty.cores},
                                    {"kernels", uncertainty.kernels},
                                    {"gb_per_s", uncertainty.bandwidths},
                                    {"latency_us", uncertainty.latencies}};
  }
  for (const Cell& cell : plan.cells) options.case_counts[cell.id] = cell.cases.size();
  return RunDirectory(spec, options);
}

ExitStatus Run(const CommandLine& line) {
  std::string text = ReadWholeFile(line.experiment, kMostBytes);
  if (!line.profile.empty()) text = WithProfile(text, line.profile);
  const ExperimentSpec spec = ParseExperiment(text, line.experiment);
  if (!spec.weights_path.empty()) FailUsage(line.experiment, ": weights are not simulated");
  const Platform platform = Platform::Parse(ReadWholeFile(line.platform, kMostBytes), line.platform);
  const std::string calibration_text = ReadWholeFile(line.calibration, kMostBytes);
  const Calibration calibration = Calibration::Parse(calibration_text, line.calibration);
  const Plan plan = MakePlan(spec, {platform.isa});
  for (const Cell& cell : plan.cells) CheckCanSimulate(cell, platform, calibration);
  RunDirectory directory = Open(line, spec, plan, platform, calibration_text);
  SimulationOptions options;
  options.parts = spec.measure.measure_parts;
  options.joins_heads = line.joins_heads;
  options.draws = line.draws;
  bool any_failed = directory.HadFailures();
  for (const Cell& cell : plan.cells) {
    if (directory.IsComplete(cell)) continue;
    std::vector<CaseRow> rows;
    for (const SimulatedCase& result : SimulateCell(cell, platform, calibration, options)) {
      for (const SampleRow& sample : result.samples) directory.Append(sample);
      if (result.prediction) {
        directory.launch_record()["predictions"][result.row.made->id] = {
            {"predicted_s", result.prediction->seconds},
            {"compute_s", result.prediction->compute_s},
            {"exchange_s", result.prediction->exchange_s}};
      }
      rows.push_back(result.row);
      any_failed = any_failed || result.row.status == CaseStatus::kFailed;
      std::printf("%s on %s: %s ranks %d seq_len %lld %s: %.6g s%s\n", spec.name.c_str(),
                  platform.name.c_str(), cell.id.c_str(), cell.ranks, static_cast<long long>(cell.seq_len),
                  result.row.made->label.c_str(), result.row.time_median_s,
                  result.samples.empty() ? (", " + result.row.message).c_str() : "");
      std::fflush(stdout);
    }
    directory.Append(rows);
    directory.SaveManifest();  // its predictions with it
  }
  const ExitStatus status = any_failed ? ExitStatus::kCaseFailed : ExitStatus::kOk;
  directory.launch_record()["exit_status"] = static_cast<int>(status);
  directory.SaveManifest();
  return status;
}

}  // namespace
}  // namespace attention

int main(int argc, char** argv) {
  using attention::Error;
  try {
    namespace po = boost::program_options;
    const po::options_description options = attention::Options();
    po::variables_map given;
    try {
      const auto style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
      po::store(po::command_line_parser(argc, argv)
                    .options(options)
                    .positional(po::positional_options_description())
                    .style(style)
                    .run(),
                given);
    } catch (const po::error& error) {
      attention::FailUsage(error.what(), "; see --help");
    }
    if (given.count("help") > 0) {
      std::ostringstream text;
      text << options;
      std::fputs(text.str().c_str(), stdout);
      return 0;
    }
    return static_cast<int>(attention::Run(attention::Parse(given)));
  } catch (const Error& error) {
    std::fprintf(stderr, "simulate_attention: %s\n", error.what());
    return static_cast<int>(error.status());
  }
}
