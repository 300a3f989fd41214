#include "src/experiment/text/spelling.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace attention {

int EditDistance(std::string_view a, std::string_view b) {
  const auto same = [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  };
  const size_t width = b.size() + 1;
  std::vector<std::vector<int>> distance(a.size() + 1, std::vector<int>(width));
  for (size_t i = 0; i <= a.size(); ++i) distance[i][0] = static_cast<int>(i);
  for (size_t j = 0; j < width; ++j) distance[0][j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j < width; ++j) {
      const int substitution = distance[i - 1][j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1);
      distance[i][j] = std::min({distance[i - 1][j] + 1, distance[i][j - 1] + 1, substitution});
      if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) {
        distance[i][j] = std::min(distance[i][j], distance[i - 2][j - 2] + 1);
      }
    }
  }
  return distance[a.size()][b.size()];
}

std::string NearestSpelling(std::string_view word, std::span<const std::string> candidates) {
  // Nothing longer is a misspelling, and the table above is quadratic.
  if (word.size() > 100) return "";
  const int limit = std::max<int>(2, static_cast<int>(word.size()) / 3);
  std::string nearest;
  int best = limit + 1;
  for (const std::string& candidate : candidates) {
    const int distance = EditDistance(word, candidate);
    if (distance < best && distance < static_cast<int>(candidate.size())) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string DidYouMean(std::string_view word, std::span<const std::string> candidates) {
  const std::string nearest = NearestSpelling(word, candidates);
  return nearest.empty() ? "" : "; did you mean " + nearest + "?";
}

std::string Join(std::span<const std::string> words, std::string_view separator) {
  std::string joined;
  for (const std::string& word : words) {
    if (!joined.empty()) joined += separator;
    joined += word;
  }
  return joined;
}

}  // namespace attention
