// YAML -> ExperimentSpec.
#ifndef SRC_EXPERIMENT_ASK_EXPERIMENT_FILE_H_
#define SRC_EXPERIMENT_ASK_EXPERIMENT_FILE_H_

#include <string>
#include <vector>

#include "src/experiment/ask/experiment_spec.h"

namespace attention {

// Reads an experiment file's text. Throws Error (bad usage) "file:line:column: key: what is wrong, what is
// allowed; did you mean X?".
ExperimentSpec ParseExperiment(const std::string& text, const std::string& file_name);

// Gives every axis the spec does not name its default value.
void FillDefaultAxes(ExperimentSpec& spec);

// Looks of a plan that is to have so many launches at most: one look, a fixed number of launches, is replaced
// by it, several are cut there.
std::vector<int> LooksUpTo(const std::vector<int>& looks, int launches);

}  // namespace attention

#endif  // SRC_EXPERIMENT_ASK_EXPERIMENT_FILE_H_
