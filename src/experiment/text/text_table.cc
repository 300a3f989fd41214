#include "src/experiment/text/text_table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "src/base/error.h"

namespace attention {
namespace {

std::string Print(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

bool LooksNumeric(const std::string& text) {
  return text.empty() || text == "-" || (text[0] >= '0' && text[0] <= '9') ||
         (text.size() > 1 && text[0] == '-' && text[1] >= '0' && text[1] <= '9');
}

}  // namespace

void TextTable::AddRow(std::vector<std::string> row) {
  Require(row.size() == header_.size(), "table: ", row.size(), " cells under ", header_.size(), " headings");
  rows_.push_back(std::move(row));
}

std::string TextTable::ToString() const {
  std::vector<size_t> width(header_.size());
  std::vector<bool> numeric(header_.size(), true);
  for (size_t i = 0; i < header_.size(); ++i) width[i] = header_[i].size();
  for (const std::vector<std::string>& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      width[i] = std::max(width[i], row[i].size());
      numeric[i] = numeric[i] && LooksNumeric(row[i]);
    }
  }
  std::string text;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) line += "  ";
      const std::string padding(width[i] - cells[i].size(), ' ');
      line += numeric[i] ? padding + cells[i] : cells[i] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  add_line(header_);
  for (const std::vector<std::string>& row : rows_) add_line(row);
  return text;
}

std::string FormatSignificant(double value, int digits) {
  if (!std::isfinite(value)) return "-";
  if (value == 0) return "0";
  const int before = static_cast<int>(std::floor(std::log10(std::fabs(value)))) + 1;
  if (before > 9 || before < -3) return Print(("%." + std::to_string(digits - 1) + "e").c_str(), value);
  const int after = std::max(0, digits - before);
  return Print(("%." + std::to_string(after) + "f").c_str(), value);
}

std::string FormatSeconds(double seconds) {
  if (!std::isfinite(seconds)) return "-";
  if (seconds != 0 && std::fabs(seconds) < 1e-3) return FormatSignificant(seconds * 1e6) + " us";
  if (std::fabs(seconds) < 1) return FormatSignificant(seconds * 1e3) + " ms";
  return FormatSignificant(seconds) + " s";
}

std::string FormatDuration(double seconds) {
  const long total = std::lround(std::max(0.0, std::min(seconds, 1e12)));
  char text[64];
  if (total >= 3600) {
    std::snprintf(text, sizeof(text), "%ld h %02ld min", total / 3600, total / 60 % 60);
  } else if (total >= 60) {
    std::snprintf(text, sizeof(text), "%ld min %02ld s", total / 60, total % 60);
  } else {
    std::snprintf(text, sizeof(text), "%ld s", total);
  }
  return text;
}

std::string FormatBytes(double bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  while (std::fabs(bytes) >= 1024 && unit < 4) {
    bytes /= 1024;
    ++unit;
  }
  return FormatSignificant(bytes) + " " + units[unit];
}

}  // namespace attention
