// A run directory: samples.csv, cases.csv, manifest.json; started, added to by further launches, or resumed.
//
// Kept like a small database. One process writes at a time (a lock). The manifest comes first and is replaced
// in one step; rows are added, each with a checksum, and are on disk before the next sample is taken. Whoever
// opens a directory first puts right what a crash, a full disk or a damaged file left (recovery.h). The unit
// of resuming is a cell: its rows in cases.csv are written together when all its cases are measured; a cell
// without them is measured anew under a new launch id, and its old samples stay, unused, under theirs.
//
// Only one rank (0) has one.
#ifndef SRC_EXPERIMENT_RECORD_RUN_DIRECTORY_H_
#define SRC_EXPERIMENT_RECORD_RUN_DIRECTORY_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "src/experiment/ask/experiment_spec.h"
#include "src/experiment/record/durable_file.h"
#include "src/experiment/record/recovery.h"
#include "src/experiment/record/results.h"

namespace attention {

// Launch ids: K for the K-th launch as first started, K + 1000 n for its n-th continuation.
inline constexpr int kLaunchIdStep = 1000;

class RunDirectory {
 public:
  struct Options {
    std::string path;
    bool resume = false;
    int launch = 0;             // K, 0-based
    nlohmann::json build_info;  // goes into the manifest: git_revision, git_dirty, compiler, flags
    // Of the orders of this run; none: that of the launches before, or drawn anew for the first one.
    std::optional<uint64_t> order_seed;
    // The number of launches was given beside the file: it must be that of the launches before.
    bool is_other_plan = false;
    // What must be the same in every launch, and goes into its record: cpu, ranks, weights.
    nlohmann::json facts = nlohmann::json::object();
    // Of each case whose variant was chosen on the machine, by its id: what was, under "variant", and
    // whatever else is to be kept of it. One case has one variant in all launches: a directory that already
    // has another one refuses.
    nlohmann::json choices = nlohmann::json::object();
    // How many cases each cell has, by its id.
    std::map<std::string, size_t> case_counts;
  };

  // Throws Error (bad usage): the directory holds something else, another experiment, launches of another
  // build, order seed or facts, or this launch already; or nothing to resume; another process writes into it;
  // or it cannot be written.
  RunDirectory(const ExperimentSpec& spec, const Options& options);

  const std::string& path() const { return options_.path; }
  int launch_id() const { return launch_id_; }
  uint64_t order_seed() const { return manifest_["order_seed"]; }
  // See ExperimentSpec::looks.
  std::vector<int> looks() const { return manifest_["looks"]; }

  // Measured by an earlier attempt of this launch.
  bool IsComplete(const Cell& cell) const;
  // Some case of an earlier attempt of this launch failed.
  bool HadFailures() const { return had_failures_; }

  void Append(const SampleRow& row);
  void Append(const std::vector<CaseRow>& rows);

  // This launch's entry of the manifest; SaveManifest puts it on disk, whole or not at all.
  nlohmann::json& launch_record() { return manifest_["launches"].back(); }
  void SaveManifest();

 private:
  void Begin(const ExperimentSpec& spec);
  void GoOn(const ExperimentSpec& spec);
  void TakeLaunchId(const std::set<int>& with_rows);
  void RequireSameRun(const std::vector<int>& looks) const;
  void RequireSameFacts() const;
  void RequireRepeated(const ExperimentSpec& spec) const;
  void AddChoices();
  void Recover(const RecoveredTables& tables);

  Options options_;
  DirectoryLock lock_;
  int launch_id_ = 0;
  AppendedFile samples_, cases_;
  bool had_failures_ = false;
  nlohmann::json manifest_;
  std::set<std::string> complete_cases_;
};

// What the launches so far chose, as Options::choices; empty if there is no run yet.
nlohmann::json ReadChoices(const std::string& directory);

// Config text of the run in a directory, for --resume without --experiment.
std::string ReadRunConfig(const std::string& directory);

}  // namespace attention

#endif  // SRC_EXPERIMENT_RECORD_RUN_DIRECTORY_H_
