// Progress on stderr: one line that is rewritten on a terminal, plain lines in a log.
#ifndef SRC_EXPERIMENT_COMMANDS_PROGRESS_DISPLAY_H_
#define SRC_EXPERIMENT_COMMANDS_PROGRESS_DISPLAY_H_

#include <string>

namespace attention {

class ProgressDisplay {
 public:
  ProgressDisplay();
  ~ProgressDisplay();  // leaves the line
  void Show(const std::string& line);
  // Takes the line away, so that other output can be printed.
  void Clear();

 private:
  bool terminal_;
  size_t shown_ = 0;
};

}  // namespace attention

#endif  // SRC_EXPERIMENT_COMMANDS_PROGRESS_DISPLAY_H_
