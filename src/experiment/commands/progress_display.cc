#include "src/experiment/commands/progress_display.h"

#include <unistd.h>

#include <cstdio>

namespace attention {

ProgressDisplay::ProgressDisplay() : terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressDisplay::~ProgressDisplay() { Clear(); }

void ProgressDisplay::Show(const std::string& line) {
  if (!terminal_) {
    std::fprintf(stderr, "%s\n", line.c_str());
    return;
  }
  Clear();
  const std::string text = line.substr(0, 100);
  std::fprintf(stderr, "%s", text.c_str());
  std::fflush(stderr);
  shown_ = text.size();
}

void ProgressDisplay::Clear() {
  if (shown_ > 0) std::fprintf(stderr, "\r%*s\r", static_cast<int>(shown_), "");
  shown_ = 0;
}

}  // namespace attention
