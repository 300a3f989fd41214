// JSON from files that may lie: bounded depth, no duplicate keys, no exceptions other than Error.
#ifndef SRC_QWEN3_CHECKPOINT_STRICT_JSON_H_
#define SRC_QWEN3_CHECKPOINT_STRICT_JSON_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace attention {

// Parses one JSON document. Throws Error (bad usage) starting with `where` (a file name) if the text is not
// JSON, nests deeper than kMaxJsonDepth, or repeats a key within an object (nlohmann::json alone would
// silently keep the last one).
inline constexpr int kMaxJsonDepth = 32;
nlohmann::json ParseStrictJson(std::string_view text, const std::string& where);

// The whole of a text file; Error naming it if it cannot be read or is longer than `max_bytes`.
std::string ReadWholeFile(const std::string& path, int64_t max_bytes);

// A whole number >= 0 that fits int64_t; nothing if `value` is anything else (a float, a string, negative).
std::optional<int64_t> AsCount(const nlohmann::json& value);

}  // namespace attention

#endif  // SRC_QWEN3_CHECKPOINT_STRICT_JSON_H_
