// Attention put together from a library's matrix product: what a careful user of a BLAS would write.
#ifndef PEERS_COMPOSITE_ATTENTION_H_
#define PEERS_COMPOSITE_ATTENTION_H_

#include <cstdint>
#include <memory>
#include <string>

#include "peers/contestant.h"
#include "peers/matrix_multiply.h"
#include "peers/workload.h"

namespace attention::peers {

struct CompositeTiles {
  int64_t q_block = 128;  // rows of a product (queries; the heads of a group count as more rows)
  int64_t kv_block = 0;   // keys of a product; 0 = all
};

// Per block of queries: scores = Q K^T / sqrt(D), softmax over whole rows, output = P V. Exact softmax, so
// the scores of a block (q_block x keys) exist; keys after the block's last query are not computed. problem
// and multiply outlive the result.
std::unique_ptr<Contestant> MakeComposite(const std::string& name, const CompositeTiles& tiles,
                                          const Problem& problem, MatrixMultiply& multiply);

// Every tile worth trying for the workload.
Contestants MakeComposites(const std::string& name, const Problem& problem, MatrixMultiply& multiply);

}  // namespace attention::peers

#endif  // PEERS_COMPOSITE_ATTENTION_H_
