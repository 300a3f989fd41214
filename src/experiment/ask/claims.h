// The `expect` part of an experiment file.
#ifndef SRC_EXPERIMENT_ASK_CLAIMS_H_
#define SRC_EXPERIMENT_ASK_CLAIMS_H_

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "src/experiment/ask/experiment_spec.h"
#include "src/experiment/ask/yaml_reader.h"

namespace attention {

// {axis: value or [values], ...}; every value must be in the experiment's grid.
std::map<std::string, std::vector<std::string>> ReadWhere(const YamlReader& reader,
                                                          const ExperimentSpec& spec);

std::vector<Claim> ReadClaims(const YamlReader& reader, const ExperimentSpec& spec);

// As the manifest holds it: keys claim, metric, over, order | ratio {slow, fast, min, max}, where {axis:
// [values]}, regime [axes]. Numbers and booleans of an axis stay such.
nlohmann::json ClaimsToJson(const std::vector<Claim>& claims);

}  // namespace attention

#endif  // SRC_EXPERIMENT_ASK_CLAIMS_H_
