// Test plans that cover all pairs: every value of every factor meets every value of every other factor in
// some row, in far fewer rows than the full product.
#ifndef SRC_PARALLEL_TESTING_COVERING_ARRAY_H_
#define SRC_PARALLEL_TESTING_COVERING_ARRAY_H_

#include <vector>

namespace attention {

// level_counts[f]: number of values of factor f (at least 1). Returns rows of one value index per factor.
// Greedy: each row starts from a pair not covered yet, then every other factor takes the value that covers
// most new pairs; deterministic.
std::vector<std::vector<int>> AllPairs(const std::vector<int>& level_counts);

// Every combination, the last factor varying fastest.
std::vector<std::vector<int>> FullProduct(const std::vector<int>& level_counts);

}  // namespace attention

#endif  // SRC_PARALLEL_TESTING_COVERING_ARRAY_H_
