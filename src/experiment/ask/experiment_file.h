// YAML -> ExperimentSpec.
#ifndef SRC_EXPERIMENT_ASK_EXPERIMENT_FILE_H_
#define SRC_EXPERIMENT_ASK_EXPERIMENT_FILE_H_

#include <string>
#include <vector>

#include "src/experiment/ask/experiment_spec.h"

namespace attention {

// Reads an experiment file's text. `profiles: {cluster: {grid: {ranks: [8, 16]}}}` has variants of the file
// for other machines: what one says stands in place of what the file says, axis by axis in `grid`, key by key
// in `measure` and `accuracy`. `profile: cluster` chooses it, and the experiment is called NAME_cluster. All
// profiles are checked. Throws Error (bad usage) "file:line:column: key: what is wrong, what is allowed; did
// you mean X?".
ExperimentSpec ParseExperiment(const std::string& text, const std::string& file_name);

// The text with a last line that chooses one of its profiles, as `profile: NAME` in the file does. A run
// keeps this text, so that it says what was run. Throws Error (bad usage) if the name is no plain one.
std::string WithProfile(const std::string& text, const std::string& profile);

// Gives every axis the spec does not name its default value.
void FillDefaultAxes(ExperimentSpec& spec);

// Looks of a plan that is to have so many launches at most: one look, a fixed number of launches, is replaced
// by it, several are cut there.
std::vector<int> LooksUpTo(const std::vector<int>& looks, int launches);

}  // namespace attention

#endif  // SRC_EXPERIMENT_ASK_EXPERIMENT_FILE_H_
