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
// JSON, nests deeper than kMaxJsonDepth, repeats a key within an object (nlohmann::json alone would silently
// keep the last one) or holds a NUL (which nlohmann::json takes for the end: what follows would go unread).
inline constexpr int kMaxJsonDepth = 32;
nlohmann::json ParseStrictJson(std::string_view text, const std::string& where);

// A whole number >= 0 that fits int64_t; nothing if `value` is anything else (a float, a string, negative).
std::optional<int64_t> AsCount(const nlohmann::json& value);

// A value as it goes into an error message: one line, of bounded length.
std::string JsonText(const nlohmann::json& value);
// Names and texts from a file, likewise.
std::string Printable(std::string text);

}  // namespace attention

#endif  // SRC_QWEN3_CHECKPOINT_STRICT_JSON_H_
