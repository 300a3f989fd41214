// What this binary was built from and with.
#ifndef SRC_EXPERIMENT_RECORD_BUILD_INFO_H_
#define SRC_EXPERIMENT_RECORD_BUILD_INFO_H_

#include <string>

namespace attention {

struct BuildInfo {
  std::string git_revision;  // "unknown" if it was not built in a git tree
  bool git_dirty = false;    // uncommitted changes when it was built, not counting results/
  std::string compiler;
  std::string flags;  // what can be told from inside
};
BuildInfo ThisBuild();

}  // namespace attention

#endif  // SRC_EXPERIMENT_RECORD_BUILD_INFO_H_
