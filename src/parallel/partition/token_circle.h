// Some of a sequence's tokens, seen as a circle that is cut into arcs, and what they cost under a mask.
#ifndef SRC_PARALLEL_PARTITION_TOKEN_CIRCLE_H_
#define SRC_PARALLEL_PARTITION_TOKEN_CIRCLE_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "src/attention/mask.h"
#include "src/parallel/partition/partition.h"

namespace attention {

// Places count its tokens from 0 in ascending order; after the last comes the first again. `mask` must
// outlive it.
class TokenCircle {
 public:
  // Not empty, ascending, not touching each other; of a sequence of `sequence` tokens.
  TokenCircle(const Mask& mask, int64_t sequence, std::vector<IndexRange> runs);

  int64_t tokens() const { return places_.back(); }
  double pairs() const { return pairs_.back(); }

  // Visible pairs of the queries at places [begin, begin + length), round the circle; 0 <= begin < tokens.
  double PairsOfArc(int64_t begin, int64_t length) const;
  // The arc, and what is left.
  std::pair<std::vector<IndexRange>, std::vector<IndexRange>> Cut(int64_t begin, int64_t length) const;

  // Keys of the same document before a place, which queries behind it may see: what a cut there makes travel.
  // 0 where tokens do not follow each other anyway.
  int64_t KeysBefore(int64_t place) const;
  // Where documents and runs begin, ascending, no more than the first `most`.
  std::vector<int64_t> Borders(size_t most) const;
  // The nearest such places at or before a place, and at or after it; within its run.
  std::pair<int64_t, int64_t> BordersAround(int64_t place) const;

 private:
  size_t RunOf(int64_t place) const;
  int64_t Position(size_t run, int64_t place) const { return runs_[run].begin + place - places_[run]; }
  double PairsBefore(int64_t place) const;
  // Places [begin, end), begin <= end.
  void Append(std::vector<IndexRange>& runs, int64_t begin, int64_t end) const;

  const Mask* mask_;
  int64_t sequence_;
  std::vector<IndexRange> runs_;
  std::vector<int64_t> places_;  // of the first token of each run, and of the end
  std::vector<double> pairs_;    // of all before
};

}  // namespace attention

#endif  // SRC_PARALLEL_PARTITION_TOKEN_CIRCLE_H_
