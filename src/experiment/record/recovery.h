// What is right of a run directory's tables, whatever happened to them.
//
// Rows carry a checksum, so each is there whole or counts as absent. A cell's rows of cases.csv count
// together: all of its cases, each once, with as many samples in samples.csv as they say; else the cell
// counts as not measured. A sample that is there twice counts once; if the two differ nobody knows which was
// measured, and neither counts.
#ifndef SRC_EXPERIMENT_RECORD_RECOVERY_H_
#define SRC_EXPERIMENT_RECORD_RECOVERY_H_

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace attention {

struct RecoveredCase {
  int launch = 0;  // its id
  std::string cell;
  std::string case_id;
  std::string status;
};

struct RecoveredTables {
  // Both files with their headers, right rows only; "" where there was no file.
  std::string samples;
  std::string cases;
  // Whether that differs from what is on disk.
  bool samples_changed = false;
  bool cases_changed = false;
  std::vector<RecoveredCase> complete;  // rows of complete cells
  std::set<int> launches;               // ids that rows of either table have
  std::set<std::pair<int, std::string>>
      broken;  // launch ids and cells that had rows and count as not measured
};

// `case_counts`: how many cases a cell has, by its id; cells not in it are taken as they are. Headers are
// those of this version. Throws Error (bad usage) if a header is another, or if a table is compressed.
RecoveredTables RecoverTables(const std::string& directory, const std::map<std::string, size_t>& case_counts);

}  // namespace attention

#endif  // SRC_EXPERIMENT_RECORD_RECOVERY_H_
