// What a run leaves behind: rows of samples.csv and cases.csv, in a directory that can be gone on with.
//
// Units are in the column names; percentages are 0 to 100. A value that was not measured is an empty field.
#ifndef SRC_EXPERIMENT_RECORD_RESULTS_H_
#define SRC_EXPERIMENT_RECORD_RESULTS_H_

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "src/experiment/ask/cell.h"

namespace attention {

// 2: the column mask; causal (no query sees a later key) stays. 3: copies of variants, what disturbed a
// sample, a check of every row. 4: the column bundle. 5: activations and kv_cache. 6: cached_tokens.
inline constexpr int kSchemaVersion = 6;
inline constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

enum class CaseStatus {
  kOk,
  kFailed,         // wrong result, non-finite values, above the hardware's peak, or it could not run
  kTimeLimited,    // max_seconds_per_cell came before all rounds
  kSkippedMemory,  // its cell needs more memory than there is; nothing was run
};
std::string_view Name(CaseStatus status);

// One variant in one round. Rounds below 0 are the pilot's: recorded, in no verdict.
struct SampleRow {
  std::string cell;
  std::string case_id;
  std::string variant;
  int round = 0;
  int order_in_round = 0;
  double time_s = 0;           // max over ranks
  double time_min_rank_s = 0;  // min over ranks
  double compute_s = kNotMeasured;
  double comm_total_s = kNotMeasured;
  double comm_exposed_s = kNotMeasured;
  double peak_gflops = kNotMeasured;
  double read_gb_per_s = kNotMeasured;
  int64_t page_faults = 0;  // within the timed part, all ranks together
  double steal_s = 0;       // CPU time that other guests took meanwhile from the machine that lost most
  int64_t involuntary_switches = 0;  // threads that had to leave their CPU, all ranks together
  double barrier_skew_s =
      kNotMeasured;  // last minus first rank out of the barrier before it; needs one clock
  CaseStatus status = CaseStatus::kOk;
};

struct CaseRow {
  const Cell* cell = nullptr;
  const Case* made = nullptr;
  std::string bundle;  // Cell::bundle if other cells of it were measured by turns with this one, else ""
  std::string backend;
  int nodes = 1;
  TileSizes tiles;  // in use
  int rounds = 0;
  double time_median_s = kNotMeasured;
  double time_low_s = kNotMeasured;  // 95 % interval of the median
  double time_high_s = kNotMeasured;
  double gflops = kNotMeasured;
  double pct_peak = kNotMeasured;
  double peak_gflops = kNotMeasured;
  double read_gb_per_s = kNotMeasured;
  double compute_s = kNotMeasured;
  double comm_total_s = kNotMeasured;
  double comm_exposed_s = kNotMeasured;
  double overlap_fraction = kNotMeasured;
  int64_t comm_bytes_per_rank = 0;
  int64_t workspace_bytes = 0;
  int64_t peak_rss_bytes = 0;
  double page_faults = kNotMeasured;  // median
  double max_abs_err = kNotMeasured;
  double rel_l2_err = kNotMeasured;
  double tolerance_rel_l2 = kNotMeasured;
  int64_t nonfinite = 0;
  bool oversubscribed = false;
  double drift = kNotMeasured;  // second half of the samples against the first: median ratio - 1
  CaseStatus status = CaseStatus::kOk;
  std::string message;
};

std::string SampleHeader();
std::string CaseHeader();
// A line each, without its end. Its last field, `check`, is the beginning of the SHA-256 of all before it and
// the comma: a row that is cut or changed is known by it.
std::string ToCsv(const SampleRow& row, int launch);
std::string ToCsv(const CaseRow& row, int launch);

// Whether a line's check is right.
bool IsWholeRow(std::string_view line);

// The columns of both files as JSON: name, kind (key, variant, cell, result or check) and the schema version
// since which there is one. Checked in as columns.json, which analysis/ reads.
std::string ColumnsText();

// One field, quoted where RFC 4180 asks for it.
std::string CsvField(const std::string& text);
// The fields of a line.
std::vector<std::string> SplitCsv(const std::string& line);

}  // namespace attention

#endif  // SRC_EXPERIMENT_RECORD_RESULTS_H_
