// The algorithms of one rank's attention: one row each.
#ifndef SRC_ATTENTION_ALGORITHM_H_
#define SRC_ATTENTION_ALGORITHM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>

namespace attention {

enum class AttentionAlgorithm {
  kStandard,       // one S x S score matrix per active head, exact softmax over whole rows
  kRowBlocked,     // exact softmax over whole rows of a query block (SlimAttention)
  kOnlineSoftmax,  // tiles with running max and sum (Milakov & Gimelshein 2018; FlashAttention)
};

struct AlgorithmRow {
  AttentionAlgorithm algorithm;
  std::string_view name;  // as in YAML, on the command line and in CSV
  // Rows can be left unfinished as a state (o, m, l) and gone on with over more keys: several steps, several
  // shards of keys in a step, some of the heads. Without it all keys of a row must be there at once.
  bool carries_state;
  // Whether the scores of all of a rank's query rows of a head are in memory at once.
  bool stores_all_scores;
};

// In the order of the enum.
inline constexpr AlgorithmRow kAlgorithmTable[] = {
    {AttentionAlgorithm::kStandard, "standard", false, true},
    {AttentionAlgorithm::kRowBlocked, "row_blocked", false, false},
    {AttentionAlgorithm::kOnlineSoftmax, "online_softmax", true, false},
};

inline constexpr auto kAllAlgorithms = [] {
  std::array<AttentionAlgorithm, std::size(kAlgorithmTable)> algorithms{};
  for (size_t i = 0; i < algorithms.size(); ++i) algorithms[i] = kAlgorithmTable[i].algorithm;
  return algorithms;
}();

constexpr const AlgorithmRow& RowOf(AttentionAlgorithm algorithm) {
  return kAlgorithmTable[static_cast<size_t>(algorithm)];
}
constexpr std::string_view Name(AttentionAlgorithm algorithm) { return RowOf(algorithm).name; }
constexpr std::optional<AttentionAlgorithm> ParseAlgorithm(std::string_view name) {
  for (const AlgorithmRow& row : kAlgorithmTable) {
    if (row.name == name) return row.algorithm;
  }
  return std::nullopt;
}

}  // namespace attention

#endif  // SRC_ATTENTION_ALGORITHM_H_
