#include "src/experiment/record/run_directory.h"

#include <algorithm>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>

#include "src/base/error.h"
#include "src/base/sha256.h"
#include "src/experiment/ask/claims.h"
#include "src/experiment/record/manifest.h"

namespace attention {
namespace {

namespace fs = std::filesystem;

// Kept in the manifest, where JSON readers of other languages have 53 bits for a number.
uint64_t DrawSeed() {
  std::random_device entropy;
  return (uint64_t{entropy()} << 21 ^ entropy()) & ((uint64_t{1} << 53) - 1);
}

// What a process leaves that was killed before it had written a manifest.
bool IsOnlyBegun(const std::string& path) {
  std::error_code failure;
  for (fs::directory_iterator entry(path, failure), end; !failure && entry != end; entry.increment(failure)) {
    const std::string name = entry->path().filename();
    if (name != DirectoryLock::kName && name != "manifest.json.new") return false;
  }
  if (failure) FailUsage(path, ": cannot be listed: ", failure.message());
  return true;
}

// What the manifest repeats of its experiment file, for readers without YAML.
nlohmann::json RepeatedFrom(const ExperimentSpec& spec) {
  nlohmann::json repeated = {{"experiment", spec.name},
                             {"title", spec.title},
                             {"expect", ClaimsToJson(spec.claims)},
                             {"margin", spec.margin}};
  if (spec.control) {
    repeated["control"] = {{"duplicate", spec.control->duplicate}, {"every", spec.control->every}};
  }
  return repeated;
}

}  // namespace

std::string ReadRunConfig(const std::string& directory) { return ReadManifest(directory)["config"]; }

nlohmann::json ReadChoices(const std::string& directory) {
  std::error_code failure;
  if (!fs::exists(directory + "/manifest.json", failure)) return nlohmann::json::object();
  return ReadManifest(directory).value("choices", nlohmann::json::object());
}

RunDirectory::RunDirectory(const ExperimentSpec& spec, const Options& options) : options_(options) {
  const std::string& path = options_.path;
  if (options_.launch < 0 || options_.launch >= kLaunchIdStep) {
    FailUsage("--launch ", options_.launch, ": allowed is 0 to ", kLaunchIdStep - 1);
  }
  std::error_code failure;
  bool exists = fs::exists(path + "/manifest.json", failure);
  if (options_.resume && !exists && fs::exists(path + "/cases.csv", failure)) {
    FailUsage(path,
              ": has tables and no manifest.json, which says what they are of; put it back from a copy, ",
              "or take a new directory");
  }
  if (options_.resume && !exists) {
    FailUsage(path, ": there is no run to resume (no manifest.json); --output ", path, " begins one");
  }
  if (!exists && fs::exists(path, failure) && !(fs::is_directory(path, failure) && IsOnlyBegun(path))) {
    FailUsage(path, ": is not empty and holds no run; results go into a new directory");
  }
  fs::create_directories(path, failure);
  if (failure) FailUsage(path, ": cannot be made: ", failure.message());
  lock_.Take(path);
  // Somebody else may have begun it meanwhile.
  exists = fs::exists(path + "/manifest.json", failure);
  launch_id_ = options_.launch;
  if (exists) {
    GoOn(spec);
  } else {
    Begin(spec);
  }
  const RecoveredTables tables = RecoverTables(path, options_.case_counts);
  TakeLaunchId(tables.launches);
  nlohmann::json record = {{"launch", launch_id_}, {"exit_status", nullptr}, {"cells", 0}};
  record.update(options_.facts);
  manifest_["launches"].push_back(record);
  AddChoices();
  // Before any row: a directory with rows has a manifest that says what they are.
  SaveManifest();
  Recover(tables);
  samples_.Open(path + "/samples.csv");
  cases_.Open(path + "/cases.csv");
}

void RunDirectory::Begin(const ExperimentSpec& spec) {
  manifest_ = {{"schema_version", kSchemaVersion},
               {"config_sha256", Sha256(spec.config_text)},
               {"config", spec.config_text},
               {"looks", spec.looks},
               {"order_seed", options_.order_seed ? *options_.order_seed : DrawSeed()},
               {"launches", nlohmann::json::array()}};
  manifest_.update(RepeatedFrom(spec));
  manifest_.update(options_.build_info);
}

void RunDirectory::GoOn(const ExperimentSpec& spec) {
  const std::string& path = options_.path;
  manifest_ = ReadManifest(path);
  if (manifest_["config_sha256"] != Sha256(spec.config_text)) {
    FailUsage(path, ": holds a run of another experiment file (its SHA-256 differs); take a new directory");
  }
  RequireSameRun(spec.looks);
  RequireSameFacts();
  RequireRepeated(spec);
}

void RunDirectory::TakeLaunchId(const std::set<int>& with_rows) {
  const std::string& path = options_.path;
  // A manifest that was put back from a copy may know fewer launches than have rows.
  std::set<int> used = with_rows;
  for (const nlohmann::json& launch : manifest_["launches"]) used.insert(launch["launch"].get<int>());
  if (used.count(launch_id_) > 0 && !options_.resume) {
    FailUsage(path, ": launch ", launch_id_, " is already there; --resume ", path, " goes on with it");
  }
  while (used.count(launch_id_) > 0) launch_id_ += kLaunchIdStep;
}

// Launches of one run differ in nothing but the moment: else what they differ by would count as noise.
void RunDirectory::RequireSameRun(const std::vector<int>& looks) const {
  const std::string& path = options_.path;
  const bool is_this_version = manifest_.contains("schema_version") &&
                               manifest_["schema_version"] == kSchemaVersion &&
                               manifest_.contains("order_seed") && manifest_.contains("looks");
  if (!is_this_version)
    FailUsage(path, ": was written by another version of this program; take a new directory");
  if (options_.order_seed && manifest_["order_seed"] != *options_.order_seed) {
    FailUsage(path, ": its orders are drawn from seed ", manifest_["order_seed"].dump(), ", not ",
              *options_.order_seed, "; leave the seed out, or take a new directory");
  }
  if (options_.is_other_plan && manifest_["looks"] != nlohmann::json(looks)) {
    FailUsage(path, ": is judged after ", manifest_["looks"].dump(), " launches, not after ",
              nlohmann::json(looks).dump(), "; leave --launches out, or take a new directory");
  }
  for (const auto& [key, value] : options_.build_info.items()) {
    if (!manifest_.contains(key)) {
      FailUsage(path, ": its manifest does not say its ", key,
                ", so nobody knows whether this program made it; take a new directory");
    }
    if (manifest_[key] == value) continue;
    FailUsage(path, ": its launches are of ", key, " ", manifest_[key].dump(), ", this program's is ",
              value.dump(), "; go on with the program they were made with, or take a new directory");
  }
}

void RunDirectory::RequireSameFacts() const {
  for (const nlohmann::json& launch : manifest_["launches"]) {
    for (const auto& [key, value] : options_.facts.items()) {
      if (!launch.contains(key)) {
        FailUsage(options_.path, ": launch ", launch["launch"].dump(), " does not say its ", key,
                  ", so nobody knows whether this one is like it; take a new directory");
      }
      if (launch[key] == value) continue;
      FailUsage(options_.path, ": launch ", launch["launch"].dump(), " was of ", key, " ", launch[key].dump(),
                ", this one is of ", value.dump(), "; start it as that one was, or take a new directory");
    }
  }
}

// The verdict is read from these: edited or damaged, they would be of another experiment than was run.
void RunDirectory::RequireRepeated(const ExperimentSpec& spec) const {
  const nlohmann::json repeated = RepeatedFrom(spec);
  for (const char* key : {"experiment", "title", "expect", "margin", "control"}) {
    const nlohmann::json wanted = repeated.value(key, nlohmann::json());
    if (manifest_.value(key, nlohmann::json()) == wanted) continue;
    FailUsage(options_.path, "/manifest.json: '", key, "' is not what its own experiment file says, ",
              wanted.dump().substr(0, 200), "; put that back, or take a new directory");
  }
}

// Somebody else may have chosen since the choices were read.
void RunDirectory::AddChoices() {
  for (const auto& [id, choice] : options_.choices.items()) {
    nlohmann::json& kept = manifest_["choices"][id];
    if (kept.is_null()) kept = choice;
    if (kept["variant"] == choice["variant"]) continue;
    FailUsage(options_.path, ": ", id, " is ", kept["variant"].dump(), " in its other launches, not ",
              choice["variant"].dump(), ": another launch chose in the same moment; start this one again");
  }
}

// A launch that lost cells counts as broken off, so that whoever starts launches goes on with it.
void RunDirectory::Recover(const RecoveredTables& tables) {
  const std::string& path = options_.path;
  if (tables.samples_changed || tables.samples.empty()) {
    ReplaceFile(path + "/samples.csv", tables.samples.empty() ? SampleHeader() + "\n" : tables.samples);
  }
  if (tables.cases_changed || tables.cases.empty()) {
    ReplaceFile(path + "/cases.csv", tables.cases.empty() ? CaseHeader() + "\n" : tables.cases);
  }
  std::map<int, std::set<std::string>> cells;  // complete ones, by launch id
  for (const RecoveredCase& row : tables.complete) {
    cells[row.launch].insert(row.cell);
    if (row.launch % kLaunchIdStep != options_.launch) continue;
    complete_cases_.insert(row.case_id);
    had_failures_ = had_failures_ || row.status == Name(CaseStatus::kFailed);
  }
  bool changed = false;
  for (nlohmann::json& launch : manifest_["launches"]) {
    const size_t recorded = launch.value("cells", size_t{0});
    if (launch["exit_status"].is_null() || cells[launch["launch"].get<int>()].size() >= recorded) continue;
    launch["exit_status"] = nullptr;
    changed = true;
  }
  if (changed) SaveManifest();
}

void RunDirectory::Append(const SampleRow& row) { samples_.Append(ToCsv(row, launch_id_) + "\n"); }

void RunDirectory::Append(const std::vector<CaseRow>& rows) {
  if (rows.empty()) return;
  std::string lines;
  for (const CaseRow& row : rows) lines += ToCsv(row, launch_id_) + "\n";
  cases_.Append(lines);
  nlohmann::json& cells = launch_record()["cells"];
  cells = cells.get<size_t>() + 1;
}

bool RunDirectory::IsComplete(const Cell& cell) const {
  return std::all_of(cell.cases.begin(), cell.cases.end(),
                     [&](const Case& made) { return complete_cases_.count(made.id) > 0; });
}

void RunDirectory::SaveManifest() { ReplaceFile(options_.path + "/manifest.json", ManifestText(manifest_)); }

}  // namespace attention
