// The softmax between the two matrix products of a composite attention.
#ifndef PEERS_ROW_SOFTMAX_H_
#define PEERS_ROW_SOFTMAX_H_

#include <cstdint>

namespace attention::peers {

// In place: row[i] = e^(row[i] - max) for i < visible (max over those), 0 for visible <= i < length.
// Returns the sum. visible >= 1. Not normalised: dividing the row of the output is cheaper.
// Relative error of a weight below 3e-7 where it is a normal number, and 0 below that. Widest vectors the CPU
// has.
float UnnormalizedSoftmax(float* row, int64_t visible, int64_t length);

}  // namespace attention::peers

#endif  // PEERS_ROW_SOFTMAX_H_
