// "Did you mean ...": the nearest of the allowed spellings.
#ifndef SRC_EXPERIMENT_TEXT_SPELLING_H_
#define SRC_EXPERIMENT_TEXT_SPELLING_H_

#include <span>
#include <string>
#include <string_view>

namespace attention {

// Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other, without
// regard to case (optimal string alignment).
int EditDistance(std::string_view a, std::string_view b);

// The candidate nearest to `word`, or "" when none is near (a third of its letters, at least 2, may differ).
std::string NearestSpelling(std::string_view word, std::span<const std::string> candidates);

// "; did you mean X?" or "".
std::string DidYouMean(std::string_view word, std::span<const std::string> candidates);

// "a, b, c".
std::string Join(std::span<const std::string> words, std::string_view separator = ", ");

}  // namespace attention

#endif  // SRC_EXPERIMENT_TEXT_SPELLING_H_
