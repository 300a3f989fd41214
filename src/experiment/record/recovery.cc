#include "src/experiment/record/recovery.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "src/base/error.h"
#include "src/base/regular_file.h"
#include "src/experiment/record/results.h"

namespace attention {
namespace {

constexpr int64_t kMaximumTableBytes = int64_t{4} << 30;

std::optional<int> ToInt(const std::string& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Table {
  std::vector<std::string_view> lines;  // right rows, without their ends
  bool is_there = false;
  bool changed = false;
};

// `text` outlives the table.
Table ReadTable(const std::string& path, const std::string& header, std::string& text) {
  Table table;
  std::error_code ignored;
  // As records are kept that nobody goes on with.
  if (std::filesystem::exists(path + ".xz", ignored)) {
    FailUsage(path, ".xz: is compressed, and rows cannot be added to it; xz -d it first");
  }
  if (!std::filesystem::exists(path, ignored)) return table;
  text = ReadWholeFile(path, kMaximumTableBytes);
  const std::string first_line = header + "\n";
  // Killed while the header was written.
  if (text.size() < first_line.size() && first_line.compare(0, text.size(), text) == 0) return table;
  if (text.compare(0, first_line.size(), first_line) != 0) {
    FailUsage(path, ": its columns are not this version's; take a new directory");
  }
  table.is_there = true;
  const size_t columns = SplitCsv(header).size();
  const std::string_view rest = std::string_view(text).substr(first_line.size());
  for (size_t begin = 0; begin < rest.size();) {
    const size_t end = rest.find('\n', begin);
    if (end == std::string_view::npos) {
      table.changed = true;  // cut
      break;
    }
    const std::string_view line = rest.substr(begin, end - begin);
    // A row of the other table, put here by hand, is whole, too.
    if (IsWholeRow(line) && SplitCsv(std::string(line)).size() == columns) {
      table.lines.push_back(line);
    } else {
      table.changed = true;
    }
    begin = end + 1;
  }
  return table;
}

size_t ColumnOf(const std::vector<std::string>& header, const char* name) {
  return static_cast<size_t>(std::find(header.begin(), header.end(), name) - header.begin());
}

std::string Join(const std::string& header, const std::vector<std::string_view>& lines) {
  std::string text = header + "\n";
  for (std::string_view line : lines) (text += line) += '\n';
  return text;
}

using LaunchAndCase = std::pair<int, std::string>;

// Of a case's samples no two have one round; negative ones are pilots.
struct SampleKey {
  LaunchAndCase sampled;
  int round = -1;

  bool operator<(const SampleKey& other) const {
    return std::tie(sampled, round) < std::tie(other.sampled, other.round);
  }
};

// By line.
std::vector<SampleKey> KeysOf(const Table& samples) {
  const std::vector<std::string> header = SplitCsv(SampleHeader());
  const size_t launch = ColumnOf(header, "launch"), id = ColumnOf(header, "case"),
               round = ColumnOf(header, "round");
  std::vector<SampleKey> keys;
  for (std::string_view line : samples.lines) {
    const std::vector<std::string> fields = SplitCsv(std::string(line));
    keys.push_back({{ToInt(fields[launch]).value_or(-1), fields[id]}, ToInt(fields[round]).value_or(-1)});
  }
  return keys;
}

// Leaves the table without lines that repeat a sample, and counts what is left, pilots not.
std::map<LaunchAndCase, int> CountOnce(Table& samples) {
  const std::vector<SampleKey> keys = KeysOf(samples);
  struct Seen {
    size_t first;
    bool agrees = true;
  };
  std::map<SampleKey, Seen> seen;
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto [place, is_new] = seen.try_emplace(keys[i], Seen{i});
    Seen& other = place->second;
    other.agrees = other.agrees && samples.lines[other.first] == samples.lines[i];
  }
  std::vector<std::string_view> kept;
  std::map<LaunchAndCase, int> counts;
  for (size_t i = 0; i < keys.size(); ++i) {
    int& count = counts[keys[i].sampled];
    const Seen& found = seen.at(keys[i]);
    if (!found.agrees || found.first != i) continue;
    kept.push_back(samples.lines[i]);
    if (keys[i].round >= 0) ++count;
  }
  samples.changed = samples.changed || kept.size() != samples.lines.size();
  samples.lines = std::move(kept);
  return counts;
}

}  // namespace

RecoveredTables RecoverTables(const std::string& directory,
                              const std::map<std::string, size_t>& case_counts) {
  std::string samples_text, cases_text;
  Table samples = ReadTable(directory + "/samples.csv", SampleHeader(), samples_text);
  Table cases = ReadTable(directory + "/cases.csv", CaseHeader(), cases_text);
  const std::map<LaunchAndCase, int> sample_counts = CountOnce(samples);

  const std::vector<std::string> header = SplitCsv(CaseHeader());
  const size_t launch = ColumnOf(header, "launch"), cell = ColumnOf(header, "cell"),
               id = ColumnOf(header, "case"), rounds = ColumnOf(header, "rounds"),
               status = ColumnOf(header, "status");
  struct Group {
    std::vector<RecoveredCase> rows;
    std::set<std::string> ids;
    bool has_its_samples = true;
  };
  std::map<std::pair<int, std::string>, Group> groups;
  std::vector<std::pair<int, std::string>> group_of_line;
  for (std::string_view line : cases.lines) {
    const std::vector<std::string> fields = SplitCsv(std::string(line));
    const RecoveredCase row = {ToInt(fields[launch]).value_or(-1), fields[cell], fields[id], fields[status]};
    Group& group = groups[{row.launch, row.cell}];
    group.rows.push_back(row);
    group.ids.insert(row.case_id);
    const auto counted = sample_counts.find({row.launch, row.case_id});
    const int count = counted == sample_counts.end() ? 0 : counted->second;
    group.has_its_samples = group.has_its_samples && ToInt(fields[rounds]).value_or(-1) == count;
    group_of_line.emplace_back(row.launch, row.cell);
  }
  RecoveredTables tables;
  for (const auto& [key, group] : groups) tables.launches.insert(key.first);
  for (const auto& [key, count] : sample_counts) tables.launches.insert(key.first);
  for (const auto& [key, group] : groups) {
    const auto known = case_counts.find(key.second);
    const bool has_all = known == case_counts.end() || group.ids.size() == known->second;
    const bool each_once = group.ids.size() == group.rows.size();
    if (has_all && each_once && group.has_its_samples) {
      tables.complete.insert(tables.complete.end(), group.rows.begin(), group.rows.end());
    } else {
      tables.broken.insert(key);
    }
  }
  std::vector<std::string_view> right;
  for (size_t i = 0; i < cases.lines.size(); ++i) {
    if (tables.broken.count(group_of_line[i]) == 0) right.push_back(cases.lines[i]);
  }
  if (samples.is_there) tables.samples = Join(SampleHeader(), samples.lines);
  if (cases.is_there) tables.cases = Join(CaseHeader(), right);
  tables.samples_changed = samples.changed;
  tables.cases_changed = cases.changed || right.size() != cases.lines.size();
  return tables;
}

}  // namespace attention
