// Who meets whom when the ranks of a communicator reduce something to all of them in a tree.
#ifndef SRC_PARALLEL_PARTITION_REDUCTION_TREE_H_
#define SRC_PARALLEL_PARTITION_REDUCTION_TREE_H_

#include <cstdint>

namespace attention {

// Recursive doubling (Thakur, Rabenseifner, Gropp 2005). On level l = 0, 1, ... rank r and rank r ^ 2^l
// exchange what they have and both reduce the two, the lower rank's first; so after each level the ranks of a
// block of 2^(l+1) have the same bits. Ranks beyond the largest power of two hand what they have to rank r -
// power before, and are handed the result behind.
struct ReductionTree {
  int power = 1;   // the largest power of two among the ranks
  int extra = 0;   // ranks beyond it
  int levels = 0;  // power = 2^levels

  static ReductionTree Of(int ranks);
  bool is_extra(int rank) const { return rank >= power; }
  bool has_extra(int rank) const { return rank < extra; }
  int Partner(int rank, int level) const { return rank ^ (1 << level); }
  // How often `rank` sends what it has; the most of any.
  int64_t SendsOf(int rank) const { return is_extra(rank) ? 1 : levels + (has_extra(rank) ? 1 : 0); }
  int64_t MostSends() const { return SendsOf(0); }
};

}  // namespace attention

#endif  // SRC_PARALLEL_PARTITION_REDUCTION_TREE_H_
