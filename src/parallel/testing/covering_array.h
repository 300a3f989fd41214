// Test plans that cover all pairs, or all triples, of values: every value of every factor meets every value
// of every other factor (and every two of every other two) in some row, in far fewer rows than the full
// product.
#ifndef SRC_PARALLEL_TESTING_COVERING_ARRAY_H_
#define SRC_PARALLEL_TESTING_COVERING_ARRAY_H_

#include <cstddef>
#include <vector>

namespace attention {

// level_counts[f]: number of values of factor f (at least 1). Returns rows of one value index per factor, in
// which any `strength` values (2: pairs, 3: triples) of as many factors meet. Greedy: each row starts from a
// tuple not covered yet, then every other factor takes the value that covers most new tuples; deterministic.
// Memory grows with the number of all values to the power of `strength`.
std::vector<std::vector<int>> CoveringArray(const std::vector<int>& level_counts, size_t strength);

// Every combination, the last factor varying fastest.
std::vector<std::vector<int>> FullProduct(const std::vector<int>& level_counts);

}  // namespace attention

#endif  // SRC_PARALLEL_TESTING_COVERING_ARRAY_H_
