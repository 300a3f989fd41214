#include "src/parallel/exchanges/sequence_stage.h"

#include <algorithm>

namespace attention {

int64_t SequenceLayout::total_tokens() const {
  int64_t total = 0;
  for (int r = 0; r < size(); ++r) total += TokensOf(r);
  return total;
}

int64_t SequenceLayout::max_tokens() const {
  int64_t most = 0;
  for (int r = 0; r < size(); ++r) most = std::max(most, TokensOf(r));
  return most;
}

}  // namespace attention
