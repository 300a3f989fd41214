// Tables for people: aligned columns, numbers to the right.
#ifndef SRC_EXPERIMENT_TEXT_TEXT_TABLE_H_
#define SRC_EXPERIMENT_TEXT_TEXT_TABLE_H_

#include <string>
#include <vector>

namespace attention {

class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) : header_(std::move(header)) {}
  // As many cells as the header has.
  void AddRow(std::vector<std::string> row);
  // Columns whose cells look like numbers are right-aligned; each line ends without spaces.
  std::string ToString() const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

// Three or so significant digits: 0.000123 -> "123 us", 2.5 -> "2.50 s".
std::string FormatSeconds(double seconds);
// "1 h 02 min", "3 min 20 s", "12 s": for a person who waits.
std::string FormatDuration(double seconds);
// "12.3 MiB".
std::string FormatBytes(double bytes);
// `value` with so many significant digits, without an exponent where possible.
std::string FormatSignificant(double value, int digits = 3);

}  // namespace attention

#endif  // SRC_EXPERIMENT_TEXT_TEXT_TABLE_H_
