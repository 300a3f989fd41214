// Measures this project's attention kernels and those of other libraries on the same work, interleaved.
//
// One process on one core; PyTorch answers from a process of its own on the same core, in turn. The libraries
// are found at run time. peers/compare installs them, runs this and draws the comparison.
#include <omp.h>
#include <sched.h>

#include <boost/program_options.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <set>

#include "peers/composite_attention.h"
#include "peers/matrix_multiply.h"
#include "peers/onnxruntime_attention.h"
#include "peers/our_kernels.h"
#include "peers/pytorch_attention.h"
#include "peers/tournament.h"
#include "peers/workload.h"
#include "src/base/error.h"
#include "src/kernels/attention_kernel.h"

namespace attention::peers {
namespace {

struct Options {
  std::string columns = "all";
  std::string contestants = "ours,onednn,openblas,onnxruntime,pytorch";
  std::string output = ".";
  std::string ways;
  std::string onednn = "libdnnl.so.2";
  std::string openblas = "/usr/lib/x86_64-linux-gnu/openblas-openmp/libopenblas.so.0";
  std::string onnxruntime;
  PyTorchPlace pytorch;
  int core = 0;
  TournamentOptions tournament;
};

std::optional<Options> ParseOptions(int argc, char** argv) {
  namespace po = boost::program_options;
  Options options;
  po::options_description description("compare_kernels: attention kernels side by side, one thread");
  const auto text = [](std::string& value) { return po::value(&value)->default_value(value); };
  description.add_options()("help,h", "this text")(
      "columns", text(options.columns),
      "columns of the comparison, by commas: full_512, causal_4096, ...; all")(
      "contestants", text(options.contestants), "who takes part")(
      "output", text(options.output), "directory for samples.csv, ways.csv, libraries.csv; made if missing")(
      "onednn", text(options.onednn), "oneDNN's shared library")("openblas", text(options.openblas),
                                                                 "OpenBLAS's shared library")(
      "onnxruntime", text(options.onnxruntime), "ONNX Runtime's shared library")(
      "python", text(options.pytorch.python), "the Python that has PyTorch")(
      "pytorch-worker", text(options.pytorch.worker), "path of pytorch_worker.py")(
      "ways", text(options.ways),
      "ways.csv of an earlier run: each contestant takes its fastest way there, nothing is tried anew")(
      "core", po::value(&options.core)->default_value(options.core), "CPU everything is pinned to")(
      "rounds", po::value(&options.tournament.max_rounds)->default_value(options.tournament.max_rounds),
      "rounds of a column, at most")(
      "min-rounds", po::value(&options.tournament.min_rounds)->default_value(options.tournament.min_rounds),
      "rounds of a column, at least")(
      "seconds", po::value(&options.tournament.seconds)->default_value(options.tournament.seconds),
      "no new round of a column after this time");
  po::variables_map values;
  try {
    po::store(po::parse_command_line(argc, argv, description), values);
    po::notify(values);
  } catch (const po::error& error) {
    FailUsage(error.what(), "; see --help");
  }
  if (values.count("help") > 0) {
    std::cout << description;
    return std::nullopt;
  }
  return options;
}

void PinToCore(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  if (sched_setaffinity(0, sizeof(set), &set) != 0) FailUsage("cannot pin to core ", core);
}

// The libraries that are there, and what they say of themselves.
class Field {
 public:
  explicit Field(const Options& options) : options_(options) {
    std::istringstream names(options.contestants);
    for (std::string name; std::getline(names, name, ',');) wanted_.insert(name);
    const std::set<std::string> known = {"ours", "onednn", "openblas", "onnxruntime", "pytorch"};
    for (const std::string& name : wanted_) {
      if (!known.contains(name)) {
        FailUsage("no contestant '", name, "'; there are: ours onednn openblas onnxruntime pytorch");
      }
    }
    Try("onednn", [&] {
      onednn_ = OpenOneDnn(options.onednn);
      Describe("onednn", onednn_->Description());
    });
    Try("openblas", [&] {
      openblas_ = OpenOpenBlas(options.openblas);
      Describe("openblas", openblas_->Description());
    });
    Try("onnxruntime", [&] {
      onnxruntime_ = std::make_unique<OnnxRuntimeLibrary>(options.onnxruntime);
      Describe("onnxruntime", "ONNX Runtime " + onnxruntime_->version() + ", C ABI, 1 thread");
    });
  }

  Contestants MakeAll(const Problem& problem) {
    Contestants all;
    const auto add = [&](Contestants more) {
      for (auto& contestant : more) all.push_back(std::move(contestant));
    };
    if (wanted_.contains("ours")) add(MakeOurKernels(problem));
    if (onednn_) add(MakeComposites("onednn", problem, *onednn_));
    if (openblas_) add(MakeComposites("openblas", problem, *openblas_));
    if (onnxruntime_) {
      add(MakeOnnxRuntimeAttentions(*onnxruntime_, problem,
                                    [](const std::string& text) { std::cerr << text << '\n'; }));
    }
    Try("pytorch", [&] {
      add(MakePyTorchAttentions(options_.pytorch, problem,
                                [&](const std::string& text) { Describe("pytorch", text); }));
    });
    return all;
  }

  const std::map<std::string, std::string>& descriptions() const { return descriptions_; }

 private:
  template <typename Action>
  void Try(const std::string& name, const Action& action) {
    if (!wanted_.contains(name)) return;
    try {
      action();
    } catch (const Error& error) {
      std::cerr << name << " takes no part: " << error.what() << '\n';
    }
  }
  void Describe(const std::string& name, const std::string& text) { descriptions_[name] = text; }

  const Options& options_;
  std::set<std::string> wanted_;
  std::map<std::string, std::string> descriptions_;
  std::unique_ptr<MatrixMultiply> onednn_, openblas_;
  std::unique_ptr<OnnxRuntimeLibrary> onnxruntime_;
};

int Run(Options options) {
  const std::vector<Workload> workloads = ParseWorkloads(options.columns);
  PinToCore(options.core);
  omp_set_num_threads(1);
  options.tournament.peak_isa = BestIsa();

  std::optional<ChosenWays> chosen_ways;
  if (!options.ways.empty()) chosen_ways.emplace(options.ways);
  Field field(options);
  std::filesystem::create_directories(options.output);
  const std::filesystem::path directory = options.output;
  std::ofstream samples(directory / "samples.csv");
  std::ofstream ways(directory / "ways.csv");
  samples.precision(9);
  const TournamentFiles files{samples, ways};
  WriteHeaders(files);
  bool all_accurate = true;
  for (const Workload& workload : workloads) {
    std::cerr << workload.name << '\n';
    const Problem problem(workload);
    Contestants all = field.MakeAll(problem);
    if (chosen_ways) all = chosen_ways->Filter(std::move(all), workload.name);
    const Contestants chosen = ChooseBestWays(std::move(all), problem, files, all_accurate);
    RunRounds(chosen, problem, options.tournament, files);
  }
  std::ofstream libraries(directory / "libraries.csv");
  libraries << "contestant,description\n";
  for (const auto& [name, text] : field.descriptions()) libraries << name << ",\"" << text << "\"\n";
  if (!samples || !ways || !libraries) Fail("cannot write to ", options.output);
  if (!all_accurate) {
    std::cerr << "some contestant is off from float64 and was left out: see ways.csv\n";
    return static_cast<int>(ExitStatus::kCaseFailed);
  }
  return static_cast<int>(ExitStatus::kOk);
}

}  // namespace
}  // namespace attention::peers

int main(int argc, char** argv) {
  try {
    const auto options = attention::peers::ParseOptions(argc, argv);
    return options ? attention::peers::Run(*options) : 0;
  } catch (const attention::Error& error) {
    std::cerr << "compare_kernels: " << error.what() << '\n';
    return static_cast<int>(error.status());
  } catch (const std::exception& error) {
    std::cerr << "compare_kernels: " << error.what() << '\n';
    return static_cast<int>(attention::ExitStatus::kCaseFailed);
  }
}
