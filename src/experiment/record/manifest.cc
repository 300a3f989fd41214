#include "src/experiment/record/manifest.h"

#include <cstdint>

#include "src/base/error.h"
#include "src/base/regular_file.h"

namespace attention {
namespace {

constexpr int64_t kMaximumManifestBytes = int64_t{64} << 20;
// Ours are five deep. Writing a text that is nested without end would run out of stack.
constexpr int kDeepest = 32;

// What every manifest has; "" if nothing is wrong.
std::string WhatIsWrong(const nlohmann::json& manifest) {
  if (!manifest.is_object()) return "it is no object";
  for (const char* key : {"config", "config_sha256", "experiment"}) {
    if (!manifest.contains(key) || !manifest[key].is_string())
      return std::string("it has no text '") + key + "'";
  }
  if (!manifest.contains("launches") || !manifest["launches"].is_array()) return "it has no list 'launches'";
  for (const nlohmann::json& launch : manifest["launches"]) {
    const bool has_number =
        launch.is_object() && launch.contains("launch") && launch["launch"].is_number_integer();
    if (!has_number) return "an entry of 'launches' has no number 'launch'";
    const bool is_status = !launch.contains("exit_status") || launch["exit_status"].is_null() ||
                           launch["exit_status"].is_number_integer();
    if (launch.contains("cells") && !launch["cells"].is_number_unsigned()) {
      return "an entry of 'launches' has 'cells' that are no number";
    }
    if (!is_status) return "an entry of 'launches' has an 'exit_status' that is no number";
  }
  if (manifest.contains("order_seed") && !manifest["order_seed"].is_number_unsigned()) {
    return "'order_seed' is no whole number";
  }
  const nlohmann::json choices = manifest.value("choices", nlohmann::json::object());
  if (!choices.is_object()) return "'choices' is no object";
  for (const auto& [id, choice] : choices.items()) {
    const bool has_variant =
        choice.is_object() && choice.contains("variant") && choice["variant"].is_string();
    if (!has_variant) return "an entry of 'choices' has no text 'variant'";
  }
  if (!manifest.contains("looks")) return "";
  if (!manifest["looks"].is_array() || manifest["looks"].empty()) return "'looks' is no list of numbers";
  for (const nlohmann::json& look : manifest["looks"]) {
    if (!look.is_number_integer()) return "'looks' is no list of numbers";
  }
  return "";
}

}  // namespace

nlohmann::json ReadManifest(const std::string& directory) {
  const std::string path = directory + "/manifest.json";
  nlohmann::json manifest;
  try {
    manifest = nlohmann::json::parse(ReadWholeFile(path, kMaximumManifestBytes),
                                     [&](int depth, nlohmann::json::parse_event_t, const nlohmann::json&) {
                                       if (depth > kDeepest)
                                         FailUsage(path, ": not a manifest: nested too deep");
                                       return true;
                                     });
  } catch (const nlohmann::json::exception& error) {
    // The library begins with a code in brackets.
    const std::string text = error.what();
    const size_t code = text.find("] ");
    FailUsage(path, ": not a manifest: ", code == std::string::npos ? text : text.substr(code + 2),
              "; put it back from a copy, or take a new directory");
  }
  const std::string wrong = WhatIsWrong(manifest);
  if (!wrong.empty()) FailUsage(path, ": not a manifest: ", wrong);
  return manifest;
}

std::string ManifestText(const nlohmann::json& manifest) {
  return manifest.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace attention
