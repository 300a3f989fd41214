// stand_in_benchmark.cc: behaves like benchmark_qwen3 towards Slurm's scripts and computes nothing.
//
// Same options, files, signals and exit statuses: --experiment FILE --output|--resume DIR --launch K. The experiment
// file is read for `cells:`, `rounds:`, `ranks:` and `seconds_per_round:` only. USR1: finish the round, exit 3. TERM: stop at once, exit 3.

#include <mpi.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>
#include <string>

namespace {

volatile std::sig_atomic_t finish_round = 0;
volatile std::sig_atomic_t stop_now = 0;

double Setting(const std::string& path, const std::string& key, double fallback) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key + ":", 0) == 0) return std::stod(line.substr(key.size() + 1));
  }
  return fallback;
}

// Cells that have all rounds in samples.csv, under one launch attempt.
std::set<int> CompleteCells(const std::string& path, int rounds) {
  std::ifstream file(path);
  std::set<int> complete;
  for (std::string line; std::getline(file, line);) {
    int cell = 0, round = 0;
    if (std::sscanf(line.c_str(), "%d,%d,", &cell, &round) == 2 && round == rounds - 1) complete.insert(cell);
  }
  return complete;
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0, ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  std::signal(SIGUSR1, [](int) { finish_round = 1; });
  std::signal(SIGTERM, [](int) { stop_now = 1; });

  std::string experiment, directory, launch = "0";
  bool resume = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--experiment") experiment = argv[i + 1];
    if (option == "--output") directory = argv[i + 1];
    if (option == "--resume") directory = argv[i + 1], resume = true;
    if (option == "--launch") launch = argv[i + 1];
  }
  const int cells = static_cast<int>(Setting(experiment, "cells", 4));
  const int rounds = static_cast<int>(Setting(experiment, "rounds", 5));
  const double seconds = Setting(experiment, "seconds_per_round", 0.1);
  const std::string samples = directory + "/samples.csv";
  if (rank == 0 && !resume) {
    if (std::filesystem::exists(directory)) {
      std::cerr << "benchmark: " << directory << " exists\n";
      MPI_Abort(MPI_COMM_WORLD, 2);
    }
    std::filesystem::create_directories(directory);
    std::ofstream(samples) << "cell,round,ranks,launch,host\n";
    std::ofstream(directory + "/manifest.json") << "{\"schema_version\": 1}\n";
  }
  MPI_Barrier(MPI_COMM_WORLD);
  const std::set<int> complete = CompleteCells(samples, rounds);
  int status = 0;
  for (int cell = 0; cell < cells && status == 0; ++cell) {
    if (complete.count(cell) != 0) continue;
    for (int round = 0; round < rounds && status == 0; ++round) {
      for (double waited = 0; waited < seconds && stop_now == 0; waited += 0.01) usleep(10000);
      if (stop_now == 0 && rank == 0) {
        char host[256];
        gethostname(host, sizeof host);
        std::ofstream(samples, std::ios::app) << cell << ',' << round << ',' << ranks << ',' << launch << ',' << host << '\n';
      }
      int stop = finish_round != 0 || stop_now != 0 ? 1 : 0;
      MPI_Allreduce(MPI_IN_PLACE, &stop, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
      if (stop != 0) status = 3;
    }
  }
  if (rank == 0 && status == 0) std::ofstream(directory + "/cases.csv") << "cell\n";
  MPI_Finalize();
  return status;
}
