// What may go into a manifest, which is JSON.
#ifndef SRC_EXPERIMENT_TEXT_UTF8_H_
#define SRC_EXPERIMENT_TEXT_UTF8_H_

#include <cstddef>
#include <optional>
#include <string_view>

namespace attention {

// Place of the first byte that does not continue a text in UTF-8 (RFC 3629: no overlong forms, no surrogates,
// nothing above U+10FFFF), or of the first NUL; none if all of it is such a text. What libraries have does
// not serve: std::codecvt takes surrogates (GCC 12), and nlohmann/json says the place in words only.
std::optional<size_t> FirstNoUtf8(std::string_view text);

}  // namespace attention

#endif  // SRC_EXPERIMENT_TEXT_UTF8_H_
