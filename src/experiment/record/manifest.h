// manifest.json: what was run, where, with what; see results/README.md.
#ifndef SRC_EXPERIMENT_RECORD_MANIFEST_H_
#define SRC_EXPERIMENT_RECORD_MANIFEST_H_

#include <nlohmann/json.hpp>
#include <string>

namespace attention {

// That of a run directory. Throws Error (bad usage): it cannot be read, is no JSON, is nested deeper than any
// manifest, or lacks what every one has.
nlohmann::json ReadManifest(const std::string& directory);

// As text; bytes that are not UTF-8 (CPU names, hosts) are replaced.
std::string ManifestText(const nlohmann::json& manifest);

}  // namespace attention

#endif  // SRC_EXPERIMENT_RECORD_MANIFEST_H_
