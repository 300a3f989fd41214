// A run directory: samples.csv, cases.csv, manifest.json; started, added to by further launches, or resumed.
//
// A sample row is on disk before the next sample is taken. The unit of resuming is a cell: its rows in
// cases.csv are written together when all its cases are measured; a cell without them is measured anew under
// a new launch id, and its old samples stay, unused, under theirs.
//
// Only one rank (0) has one.
#ifndef SRC_EXPERIMENT_RECORD_RUN_DIRECTORY_H_
#define SRC_EXPERIMENT_RECORD_RUN_DIRECTORY_H_

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "src/experiment/ask/experiment_spec.h"
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
  };

  // Throws Error (bad usage): the directory holds something else, another experiment, or this launch already;
  // or nothing to resume; or it cannot be written.
  RunDirectory(const ExperimentSpec& spec, const Options& options);
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  const std::string& path() const { return options_.path; }
  int launch_id() const { return launch_id_; }

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
  void ReadCompleteCells();
  int OpenForAppending(const std::string& name, const std::string& header);
  void WriteLine(int file, const std::string& name, const std::string& line);

  Options options_;
  int launch_id_ = 0;
  int samples_file_ = -1;
  int cases_file_ = -1;
  bool had_failures_ = false;
  nlohmann::json manifest_;
  std::set<std::string> complete_cases_;
};

// Config text of the run in a directory, for --resume without --experiment.
std::string ReadRunConfig(const std::string& directory);

// A whole file; Error (bad usage) naming it if it cannot be read or is larger than `maximum_bytes`.
std::string ReadTextFile(const std::string& path, size_t maximum_bytes);

}  // namespace attention

#endif  // SRC_EXPERIMENT_RECORD_RUN_DIRECTORY_H_
