#include "src/experiment/record/results.h"

#include <cmath>
#include <cstdio>
#include <functional>
#include <utility>

#include "src/base/error.h"
#include "src/base/sha256.h"
#include "src/experiment/ask/axes.h"

namespace attention {
namespace {

constexpr const char* kCheckColumn = "check";
constexpr size_t kCheckDigits = 8;

std::string CheckOf(std::string_view before) { return Sha256(before).substr(0, kCheckDigits); }

std::string Number(double value) {
  if (std::isnan(value)) return "";
  char text[40];
  std::snprintf(text, sizeof(text), "%.9g", value);
  return text;
}
std::string Number(int64_t value) { return std::to_string(value); }
std::string Number(int value) { return std::to_string(value); }
std::string Boolean(bool value) { return value ? "true" : "false"; }
std::string Text(std::string_view text) { return std::string(text); }

// One column of a file: the only place that knows it.
template <typename Row>
struct Column {
  std::string name;
  // "key", "variant" (follows from the variant), "cell" (the same in a whole cell) or "result".
  std::string kind;
  int since = 1;  // schema version
  std::function<std::string(const Row& row, int launch)> print;
};

// A printer of a member of the row.
template <typename Row, typename Value>
std::function<std::string(const Row&, int)> Of(Value Row::*member) {
  return [member](const Row& row, int) { return Number(row.*member); };
}

using SampleColumn = Column<SampleRow>;
std::vector<SampleColumn> MakeSampleColumns() {
  return {
      {"schema_version", "key", 1, [](const SampleRow&, int) { return Number(kSchemaVersion); }},
      {"launch", "key", 1, [](const SampleRow&, int launch) { return Number(launch); }},
      {"cell", "key", 1, [](const SampleRow& row, int) { return row.cell; }},
      {"case", "key", 1, [](const SampleRow& row, int) { return row.case_id; }},
      {"variant", "key", 1, [](const SampleRow& row, int) { return row.variant; }},
      {"round", "key", 1, Of(&SampleRow::round)},
      {"order_in_round", "key", 1, Of(&SampleRow::order_in_round)},
      {"time_s", "result", 1, Of(&SampleRow::time_s)},
      {"time_min_rank_s", "result", 1, Of(&SampleRow::time_min_rank_s)},
      {"compute_s", "result", 1, Of(&SampleRow::compute_s)},
      {"comm_total_s", "result", 1, Of(&SampleRow::comm_total_s)},
      {"comm_exposed_s", "result", 1, Of(&SampleRow::comm_exposed_s)},
      {"peak_gflops", "result", 1, Of(&SampleRow::peak_gflops)},
      {"read_gb_per_s", "result", 1, Of(&SampleRow::read_gb_per_s)},
      {"page_faults", "result", 1, Of(&SampleRow::page_faults)},
      {"steal_s", "result", 3, Of(&SampleRow::steal_s)},
      {"involuntary_switches", "result", 3, Of(&SampleRow::involuntary_switches)},
      {"barrier_skew_s", "result", 3, Of(&SampleRow::barrier_skew_s)},
      {"status", "result", 1, [](const SampleRow& row, int) { return Text(Name(row.status)); }},
  };
}

using CaseColumn = Column<CaseRow>;
std::vector<CaseColumn> IdentityColumns() {
  const auto of_variant = [](auto print) {
    return [print](const CaseRow& row, int) { return Text(print(row.made->variant)); };
  };
  return {
      {"schema_version", "key", 1, [](const CaseRow&, int) { return Number(kSchemaVersion); }},
      {"launch", "key", 1, [](const CaseRow&, int launch) { return Number(launch); }},
      {"cell", "key", 1, [](const CaseRow& row, int) { return row.cell->id; }},
      {"case", "key", 1, [](const CaseRow& row, int) { return row.made->id; }},
      {"variant", "variant", 1, [](const CaseRow& row, int) { return row.made->label; }},
      {"duplicate_of", "variant", 3, [](const CaseRow& row, int) { return row.made->duplicate_of; }},
      {"bundle", "result", 4, [](const CaseRow& row, int) { return row.bundle; }},
      {"strategy", "variant", 1, of_variant([](const Variant& variant) { return Name(variant.strategy); })},
      {"exchange", "variant", 1, of_variant([](const Variant& variant) { return Name(variant.exchange); })},
      {"sharding", "variant", 1, of_variant([](const Variant& variant) { return Name(variant.sharding); })},
      {"algorithm", "variant", 1, of_variant([](const Variant& variant) { return Name(variant.algorithm); })},
      {"backend", "variant", 1, [](const CaseRow& row, int) { return row.backend; }},
      {"q_block", "variant", 1, [](const CaseRow& row, int) { return Number(row.tiles.q_block); }},
      {"kv_block", "variant", 1, [](const CaseRow& row, int) { return Number(row.tiles.kv_block); }},
  };
}

std::vector<CaseColumn> ResultColumns() {
  return {
      {"rounds", "result", 1, Of(&CaseRow::rounds)},
      {"time_median_s", "result", 1, Of(&CaseRow::time_median_s)},
      {"time_low_s", "result", 1, Of(&CaseRow::time_low_s)},
      {"time_high_s", "result", 1, Of(&CaseRow::time_high_s)},
      {"gflops", "result", 1, Of(&CaseRow::gflops)},
      {"pct_peak", "result", 1, Of(&CaseRow::pct_peak)},
      {"peak_gflops", "result", 1, Of(&CaseRow::peak_gflops)},
      {"read_gb_per_s", "result", 1, Of(&CaseRow::read_gb_per_s)},
      {"minimum_bytes", "result", 1, [](const CaseRow& row, int) { return Number(row.cell->minimum_bytes); }},
      {"compute_s", "result", 1, Of(&CaseRow::compute_s)},
      {"comm_total_s", "result", 1, Of(&CaseRow::comm_total_s)},
      {"comm_exposed_s", "result", 1, Of(&CaseRow::comm_exposed_s)},
      {"overlap_fraction", "result", 1, Of(&CaseRow::overlap_fraction)},
      {"comm_bytes_per_rank", "result", 1, Of(&CaseRow::comm_bytes_per_rank)},
      {"workspace_bytes", "result", 1, Of(&CaseRow::workspace_bytes)},
      {"peak_rss_bytes", "result", 1, Of(&CaseRow::peak_rss_bytes)},
      {"page_faults", "result", 1, Of(&CaseRow::page_faults)},
      {"max_abs_err", "result", 1, Of(&CaseRow::max_abs_err)},
      {"rel_l2_err", "result", 1, Of(&CaseRow::rel_l2_err)},
      {"tolerance_rel_l2", "result", 1, Of(&CaseRow::tolerance_rel_l2)},
      {"nonfinite", "result", 1, Of(&CaseRow::nonfinite)},
      {"oversubscribed", "result", 1, [](const CaseRow& row, int) { return Boolean(row.oversubscribed); }},
      {"drift", "result", 1, Of(&CaseRow::drift)},
      {"status", "result", 1, [](const CaseRow& row, int) { return Text(Name(row.status)); }},
      {"message", "result", 1, [](const CaseRow& row, int) { return row.message; }},
  };
}

std::vector<CaseColumn> MakeCaseColumns() {
  std::vector<CaseColumn> columns = IdentityColumns();
  for (const CellColumn& column : CellColumns()) {
    columns.push_back({column.name, "cell", column.since,
                       [print = column.print](const CaseRow& row, int) { return print(*row.cell); }});
  }
  columns.push_back({"nodes", "cell", 1, Of(&CaseRow::nodes)});
  columns.push_back({"seed", "cell", 1,
                     [](const CaseRow& row, int) { return Number(static_cast<int64_t>(row.cell->seed)); }});
  for (CaseColumn& column : ResultColumns()) columns.push_back(std::move(column));
  return columns;
}

const std::vector<SampleColumn>& SampleColumns() {
  static const std::vector<SampleColumn> kColumns = MakeSampleColumns();
  return kColumns;
}
const std::vector<CaseColumn>& CaseColumns() {
  static const std::vector<CaseColumn> kColumns = MakeCaseColumns();
  return kColumns;
}

template <typename Row>
std::string HeaderOf(const std::vector<Column<Row>>& columns) {
  std::string line;
  for (const Column<Row>& column : columns) line += column.name + ",";
  return line + kCheckColumn;
}

template <typename Row>
std::string LineOf(const std::vector<Column<Row>>& columns, const Row& row, int launch) {
  std::string line;
  for (const Column<Row>& column : columns) line += CsvField(column.print(row, launch)) + ",";
  return line + CheckOf(line);
}

template <typename Row>
std::string JsonOf(const std::vector<Column<Row>>& columns) {
  std::string text;
  for (const Column<Row>& column : columns) {
    text += internal::Concatenate("    {\"name\": \"", column.name, "\", \"kind\": \"", column.kind,
                                  "\", \"since\": ", column.since, "},\n");
  }
  return internal::Concatenate(text, "    {\"name\": \"", kCheckColumn,
                               "\", \"kind\": \"check\", \"since\": 3}");
}

}  // namespace

std::string_view Name(CaseStatus status) {
  switch (status) {
    case CaseStatus::kOk:
      return "ok";
    case CaseStatus::kFailed:
      return "failed";
    case CaseStatus::kTimeLimited:
      return "time_limited";
    case CaseStatus::kSkippedMemory:
      return "skipped_memory";
  }
  return "?";
}

bool IsWholeRow(std::string_view line) {
  if (line.size() <= kCheckDigits) return false;
  const size_t begin = line.size() - kCheckDigits;
  return line[begin - 1] == ',' && line.substr(begin) == CheckOf(line.substr(0, begin));
}

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (char c : text) {
    // One row is one line, whatever a message holds.
    if (c == '\n' || c == '\r') c = ' ';
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

std::vector<std::string> SplitCsv(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += '"';
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

std::string SampleHeader() { return HeaderOf(SampleColumns()); }
std::string CaseHeader() { return HeaderOf(CaseColumns()); }
std::string ToCsv(const SampleRow& row, int launch) { return LineOf(SampleColumns(), row, launch); }
std::string ToCsv(const CaseRow& row, int launch) { return LineOf(CaseColumns(), row, launch); }

std::string ColumnsText() {
  return internal::Concatenate("{\n  \"schema_version\": ", kSchemaVersion, ",\n  \"samples\": [\n",
                               JsonOf(SampleColumns()), "\n  ],\n  \"cases\": [\n", JsonOf(CaseColumns()),
                               "\n  ]\n}\n");
}

}  // namespace attention
