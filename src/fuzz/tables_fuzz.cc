// Any bytes as the tables of a run: what recovery keeps is whole, and recovered once more it is the same. The
// input is samples.csv, and from its first NUL on cases.csv; their headers are put before them.
#include <algorithm>
#include <string>

#include "src/experiment/record/recovery.h"
#include "src/experiment/record/results.h"
#include "src/fuzz/fuzz_input.h"

namespace attention {
namespace {

void RequireWholeRows(const std::string& table, const std::string& header) {
  Promise(table.compare(0, header.size() + 1, header + "\n") == 0, "a table begins with its header");
  size_t begin = header.size() + 1;
  while (begin < table.size()) {
    const size_t end = table.find('\n', begin);
    Promise(end != std::string::npos, "a table ends with a whole line");
    const std::string line = table.substr(begin, end - begin);
    Promise(IsWholeRow(line), "a row that is kept has its checksum");
    Promise(!SplitCsv(line).empty(), "a row has fields");
    begin = end + 1;
  }
}

void Recover(std::string_view text) {
  const size_t middle = std::min(text.find('\0'), text.size());
  const std::string samples(text.substr(0, middle));
  const std::string cases(middle < text.size() ? text.substr(middle + 1) : std::string_view());
  WriteScratch("samples.csv", SampleHeader() + "\n" + samples);
  WriteScratch("cases.csv", CaseHeader() + "\n" + cases);
  const RecoveredTables once = RecoverTables(ScratchDirectory(), {});
  RequireWholeRows(once.samples, SampleHeader());
  RequireWholeRows(once.cases, CaseHeader());
  WriteScratch("samples.csv", once.samples);
  WriteScratch("cases.csv", once.cases);
  const RecoveredTables twice = RecoverTables(ScratchDirectory(), {});
  Promise(!twice.samples_changed && !twice.cases_changed, "what was recovered needs no recovery");
  Promise(twice.complete.size() == once.complete.size(), "recovering changes no cell");
}

}  // namespace
}  // namespace attention

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  for (const std::string& line : attention::SplitCsv(std::string(attention::AsText(bytes, size)))) {
    (void)attention::CsvField(line);
  }
  attention::TakesOrRefuses([&] { attention::Recover(attention::AsText(bytes, size)); });
  return 0;
}
