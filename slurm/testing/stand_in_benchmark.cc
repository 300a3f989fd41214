// stand_in_benchmark.cc: behaves like benchmark_qwen3 towards Slurm's scripts and computes nothing.
//
// Same options, files, signals and exit statuses: --experiment FILE [--output|--resume DIR] [--launch K], and
// --print-geometry. Of the experiment file it reads `name`, `ranks`, `launches`, `cells`, `rounds` and
// `seconds_per_round` (flat lines). Samples are rows of samples.csv at once, a finished cell is a row of
// cases.csv, both written by the benchmark's own functions, so that the analysis reads them; a continued
// launch K has the id K + 1000 n. USR1: finish the round, exit 3. TERM: stop at once, exit 3.

#include <mpi.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "src/experiment/record/results.h"

namespace {

constexpr int kLaunchIdStep = 1000;

constexpr char kManifest[] =
    R"({"schema_version": 2, "experiment": "slurm_test", "title": "", "expect": [], "config_sha256": "0", )"
    R"("git_revision": "0", "launches": [)";
constexpr char kManifestEnd[] = "]}\n";

// With an entry more for this attempt, as the benchmark's own manifest has.
void AddLaunch(const std::string& path, int launch_id, int status) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  std::string entries = text.str().substr(std::string(kManifest).size());
  entries.resize(entries.size() - std::string(kManifestEnd).size());
  if (!entries.empty()) entries += ", ";
  std::ofstream(path) << kManifest << entries << "{\"launch\": " << launch_id
                      << ", \"exit_status\": " << status << "}" << kManifestEnd;
}

volatile std::sig_atomic_t finish_round = 0;
volatile std::sig_atomic_t stop_now = 0;

std::string Setting(const std::string& path, const std::string& key, const std::string& fallback) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key + ": ", 0) == 0) return line.substr(key.size() + 2);
  }
  return fallback;
}

// First fields of each row: schema_version,launch,cell,...
struct Rows {
  std::set<int> launches;
  std::set<std::string> cells;  // of attempts of `launch`
};

Rows Read(const std::string& path, int launch) {
  Rows rows;
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::stringstream fields(line);
    std::string version, id, cell;
    std::getline(std::getline(std::getline(fields, version, ','), id, ','), cell, ',');
    rows.launches.insert(std::atoi(id.c_str()));
    if (std::atoi(id.c_str()) % kLaunchIdStep == launch) rows.cells.insert(cell);
  }
  return rows;
}

void Append(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::app) << text << std::flush;
}

attention::Cell MakeCell(int index, int ranks, int nodes) {
  attention::Cell cell;
  cell.id =
      "cell" + std::to_string(index) + "-ranks" + std::to_string(ranks) + "-nodes" + std::to_string(nodes);
  cell.model.name = "none";
  cell.seq_len = index + 1;
  cell.ranks = ranks;
  cell.problem.batch = cell.problem.query_heads = cell.problem.kv_heads = cell.problem.head_dim = 1;
  cell.cases.resize(1);
  cell.cases[0].id = cell.id + "/wait";
  cell.cases[0].label = "wait";
  return cell;
}

std::string SampleLine(const attention::Cell& cell, int round, double seconds, int launch) {
  attention::SampleRow row;
  row.cell = cell.id;
  row.case_id = cell.cases[0].id;
  row.variant = cell.cases[0].label;
  row.round = round;
  row.time_s = row.time_min_rank_s = seconds;
  return ToCsv(row, launch) + "\n";
}

std::string CaseLine(const attention::Cell& cell, int rounds, int nodes, double seconds, int launch) {
  attention::CaseRow row;
  row.cell = &cell;
  row.made = &cell.cases[0];
  row.backend = "none";
  row.nodes = nodes;
  row.rounds = rounds;
  row.time_median_s = seconds;
  return ToCsv(row, launch) + "\n";
}

// `launch_id`: of this attempt.
int Run(const std::map<std::string, std::string>& options, int rank, int ranks, int& launch_id) {
  const std::string experiment = options.at("--experiment");
  const bool resume = options.count("--resume") != 0;
  const std::string directory = options.at(resume ? "--resume" : "--output");
  const std::string samples = directory + "/samples.csv", cases = directory + "/cases.csv";
  int launch = options.count("--launch") != 0 ? std::stoi(options.at("--launch")) : 0;
  const Rows complete = Read(cases, launch);
  const Rows begun = Read(samples, launch);
  MPI_Barrier(MPI_COMM_WORLD);  // all have read before rank 0 writes
  int nodes = 0;
  MPI_Comm node;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
  int local = 0;
  MPI_Comm_rank(node, &local);
  const int leader = local == 0 ? 1 : 0;
  MPI_Allreduce(&leader, &nodes, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  while (begun.launches.count(launch) != 0) launch += kLaunchIdStep;
  launch_id = launch;
  if (rank == 0 && !std::filesystem::exists(directory + "/manifest.json")) {
    std::filesystem::create_directories(directory);
    Append(samples, attention::SampleHeader() + "\n");
    Append(cases, attention::CaseHeader() + "\n");
    Append(directory + "/manifest.json", std::string(kManifest) + kManifestEnd);
  }
  const int cells = std::stoi(Setting(experiment, "cells", "4"));
  const int rounds = std::stoi(Setting(experiment, "rounds", "5"));
  const double seconds = std::stod(Setting(experiment, "seconds_per_round", "0.1"));
  for (int index = 0; index < cells; ++index) {
    const attention::Cell cell = MakeCell(index, ranks, nodes);
    if (complete.cells.count(cell.id) != 0) continue;
    for (int round = 0; round < rounds; ++round) {
      for (double waited = 0; waited < seconds && stop_now == 0; waited += 0.01) usleep(10000);
      int stop = stop_now != 0 ? 2 : finish_round != 0 ? 1 : 0;
      MPI_Allreduce(MPI_IN_PLACE, &stop, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
      if (stop == 2) return 3;
      if (rank == 0) Append(samples, SampleLine(cell, round, seconds, launch));
      if (stop == 1 && round + 1 < rounds) return 3;
    }
    if (rank == 0) Append(cases, CaseLine(cell, rounds, nodes, seconds, launch));
    if (finish_round != 0) return 3;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> options;
  for (int i = 1; i < argc; i += 2) options[argv[i]] = i + 1 < argc ? argv[i + 1] : "";
  if (argc == 4 && std::string(argv[3]) == "--print-geometry") {
    for (const char* key : {"name", "ranks", "launches"}) {
      std::cout << key << ' ' << Setting(argv[2], key, "1") << '\n';
    }
    return 0;
  }
  MPI_Init(&argc, &argv);
  int rank = 0, ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  std::signal(SIGUSR1, [](int) { finish_round = 1; });
  std::signal(SIGTERM, [](int) { stop_now = 1; });
  int launch_id = 0;
  const int status = Run(options, rank, ranks, launch_id);
  if (rank == 0) {
    const std::string directory = options.count("--resume") != 0 ? options["--resume"] : options["--output"];
    AddLaunch(directory + "/manifest.json", launch_id, status);
  }
  MPI_Finalize();
  return status;
}
