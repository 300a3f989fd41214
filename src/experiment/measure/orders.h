// In which order things are done: the same on every rank, drawn from a seed, and balanced.
#ifndef SRC_EXPERIMENT_MEASURE_ORDERS_H_
#define SRC_EXPERIMENT_MEASURE_ORDERS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace attention {

// What an order is of: each has a sequence of its own.
enum class OrderOf {
  kMaking,  // index: the launch
  kRound,   // index: launch + round. Neighbouring rounds of a launch and the same rounds of neighbouring
            // launches are neighbours both
};

// Permutation `index` (may be negative) of `count` variants of a cell. The first `count` indices from 0, and
// every `count` after them, put every variant in every place once (a Latin square); any count! in a row hold
// every permutation once (of more than 13 variants: no permutation twice for long). Where the sequence begins
// follows from the seed. So a place that favours a variant (the first one of a round is slower, what is made
// first lies elsewhere) does so for each equally often.
std::vector<int> BalancedOrder(int count, uint64_t order_seed, OrderOf what, const std::string& cell,
                               int64_t index);

// Order of `count` cells in a launch; any is as likely.
std::vector<size_t> CellOrder(size_t count, uint64_t order_seed, int launch);

}  // namespace attention

#endif  // SRC_EXPERIMENT_MEASURE_ORDERS_H_
