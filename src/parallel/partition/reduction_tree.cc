#include "src/parallel/partition/reduction_tree.h"

#include "src/base/error.h"

namespace attention {

ReductionTree ReductionTree::Of(int ranks) {
  Require(ranks >= 1, "a tree of ", ranks, " ranks");
  ReductionTree tree;
  while (tree.power <= ranks / 2) {
    tree.power *= 2;
    ++tree.levels;
  }
  tree.extra = ranks - tree.power;
  return tree;
}

}  // namespace attention
