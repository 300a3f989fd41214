#include "src/experiment/record/run_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "src/base/error.h"
#include "src/base/sha256.h"
#include "src/experiment/ask/claims.h"

namespace attention {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaximumManifestBytes = size_t{64} << 20;

nlohmann::json ReadManifest(const std::string& directory) {
  const std::string path = directory + "/manifest.json";
  try {
    return nlohmann::json::parse(ReadTextFile(path, kMaximumManifestBytes));
  } catch (const nlohmann::json::exception& error) {
    FailUsage(path, ": not a manifest: ", error.what());
  }
}

void WriteAll(int file, const std::string& text, const std::string& path) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = write(file, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) Fail("cannot write ", path, ": ", std::strerror(errno));
    done += static_cast<size_t>(count);
  }
}

// Removes a last line that a crash cut short: it would spoil the row that follows.
void DropTornLine(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return;
  std::stringstream content;
  content << file.rdbuf();
  const std::string text = content.str();
  const size_t newline = text.rfind('\n');
  const size_t whole = newline == std::string::npos ? 0 : newline + 1;
  if (whole != text.size()) fs::resize_file(path, whole);
}

}  // namespace

std::string ReadTextFile(const std::string& path, size_t maximum_bytes) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) FailUsage(path, ": cannot be read: ", std::strerror(errno));
  if (S_ISDIR(status.st_mode)) FailUsage(path, ": is a directory, not a file");
  std::ifstream file(path, std::ios::binary);
  if (!file) FailUsage(path, ": cannot be read: ", std::strerror(errno));
  std::string text;
  char buffer[65536];
  while (file.read(buffer, sizeof(buffer)) || file.gcount() > 0) {
    text.append(buffer, static_cast<size_t>(file.gcount()));
    if (text.size() > maximum_bytes) FailUsage(path, ": larger than ", maximum_bytes, " bytes");
  }
  return text;
}

std::string ReadRunConfig(const std::string& directory) {
  const nlohmann::json manifest = ReadManifest(directory);
  if (!manifest.is_object() || !manifest.contains("config") || !manifest["config"].is_string()) {
    FailUsage(directory, "/manifest.json: it holds no experiment file under 'config'");
  }
  return manifest["config"];
}

RunDirectory::RunDirectory(const ExperimentSpec& spec, const Options& options) : options_(options) {
  const std::string& path = options_.path;
  const std::string hash = Sha256(spec.config_text);
  if (options_.launch < 0 || options_.launch >= kLaunchIdStep) {
    FailUsage("--launch ", options_.launch, ": allowed is 0 to ", kLaunchIdStep - 1);
  }
  const bool exists = fs::exists(path + "/manifest.json");
  if (options_.resume && !exists) FailUsage(path, ": there is no run to resume (no manifest.json)");
  std::error_code ignored;
  if (!exists && fs::exists(path) && !fs::is_empty(path, ignored)) {
    FailUsage(path, ": is not empty and holds no run; results go into a new directory");
  }
  std::error_code failure;
  fs::create_directories(path, failure);
  if (failure) FailUsage(path, ": cannot be made: ", failure.message());
  if (access(path.c_str(), W_OK) != 0) FailUsage(path, ": cannot be written: ", std::strerror(errno));
  launch_id_ = options_.launch;
  if (exists) {
    manifest_ = ReadManifest(path);
    if (manifest_.value("config_sha256", "") != hash) {
      FailUsage(path, ": holds a run of another experiment file (its SHA-256 differs); take a new directory");
    }
    std::set<int> used;
    for (const nlohmann::json& launch : manifest_["launches"]) used.insert(launch.value("launch", 0));
    if (used.count(launch_id_) > 0 && !options_.resume) {
      FailUsage(path, ": launch ", launch_id_, " is already there; --resume ", path, " goes on with it");
    }
    ReadCompleteCells();
    while (used.count(launch_id_) > 0) launch_id_ += kLaunchIdStep;
  } else {
    manifest_ = {{"schema_version", kSchemaVersion},
                 {"experiment", spec.name},
                 {"title", spec.title},
                 {"config_sha256", hash},
                 {"config", spec.config_text},
                 {"expect", ClaimsToJson(spec.claims)},
                 {"launches", nlohmann::json::array()}};
  }
  manifest_.update(options_.build_info);
  manifest_["launches"].push_back({{"launch", launch_id_}, {"exit_status", nullptr}});
  samples_file_ = OpenForAppending("samples.csv", SampleHeader());
  cases_file_ = OpenForAppending("cases.csv", CaseHeader());
}

RunDirectory::~RunDirectory() {
  if (samples_file_ >= 0) close(samples_file_);
  if (cases_file_ >= 0) close(cases_file_);
}

int RunDirectory::OpenForAppending(const std::string& name, const std::string& header) {
  const std::string path = options_.path + "/" + name;
  DropTornLine(path);
  std::error_code ignored;
  const bool fresh = !fs::exists(path) || fs::file_size(path, ignored) == 0;
  if (!fresh) {
    std::ifstream file(path);
    std::string first;
    std::getline(file, first);
    if (first != header) FailUsage(path, ": its columns are not this version's; take a new directory");
  }
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) FailUsage(path, ": cannot be written: ", std::strerror(errno));
  if (fresh) WriteLine(file, name, header);
  return file;
}

void RunDirectory::WriteLine(int file, const std::string& name, const std::string& line) {
  const std::string path = options_.path + "/" + name;
  WriteAll(file, line + "\n", path);
  if (fdatasync(file) != 0 && errno != EINVAL && errno != EROFS) {
    Fail("cannot write ", path, ": ", std::strerror(errno));
  }
}

void RunDirectory::Append(const SampleRow& row) {
  WriteLine(samples_file_, "samples.csv", ToCsv(row, launch_id_));
}

void RunDirectory::Append(const std::vector<CaseRow>& rows) {
  std::string lines;
  for (const CaseRow& row : rows) lines += (lines.empty() ? "" : "\n") + ToCsv(row, launch_id_);
  if (!rows.empty()) WriteLine(cases_file_, "cases.csv", lines);
}

void RunDirectory::ReadCompleteCells() {
  std::ifstream file(options_.path + "/cases.csv");
  std::string line;
  if (!std::getline(file, line)) return;
  const std::vector<std::string> header = SplitCsv(line);
  const auto column = [&](const char* name) {
    return std::find(header.begin(), header.end(), name) - header.begin();
  };
  const size_t launch = column("launch"), case_id = column("case"), status = column("status");
  while (std::getline(file, line)) {
    const std::vector<std::string> fields = SplitCsv(line);
    if (fields.size() != header.size()) continue;  // cut short by a crash
    if (std::atoi(fields[launch].c_str()) % kLaunchIdStep != options_.launch) continue;
    complete_cases_.insert(fields[case_id]);
    had_failures_ = had_failures_ || fields[status] == Name(CaseStatus::kFailed);
  }
}

bool RunDirectory::IsComplete(const Cell& cell) const {
  return std::all_of(cell.cases.begin(), cell.cases.end(),
                     [&](const Case& made) { return complete_cases_.count(made.id) > 0; });
}

void RunDirectory::SaveManifest() {
  const std::string path = options_.path + "/manifest.json";
  const std::string temporary = path + ".new";
  const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) Fail("cannot write ", temporary, ": ", std::strerror(errno));
  try {
    // Text from outside (CPU names, hosts) may hold any bytes.
    WriteAll(file, manifest_.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n", temporary);
  } catch (...) {
    close(file);
    throw;
  }
  const bool synced = fsync(file) == 0 || errno == EINVAL;
  close(file);
  if (!synced || rename(temporary.c_str(), path.c_str()) != 0) {
    Fail("cannot write ", path, ": ", std::strerror(errno));
  }
}

}  // namespace attention
