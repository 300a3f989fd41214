// The ranks of a sequence exchange as a rectangle, for the exchange `mesh`: which ranks share queries, which
// keys.
#ifndef SRC_PARALLEL_PARTITION_MESH_H_
#define SRC_PARALLEL_PARTITION_MESH_H_

#include <cstdint>
#include <vector>

#include "src/parallel/partition/attention_plan.h"
#include "src/parallel/partition/partition.h"

namespace attention {

// Rank r stands in row r / columns and column r % columns. Ranks of a row share their queries, ranks of a
// column their keys and values: rank r computes the tile of its row's queries and its column's keys, and
// every pair of a query and a key is in one tile.
struct Mesh {
  int rows = 1;
  int columns = 1;

  // That which moves the fewest bytes without a mask: with shards of equal length a rank sends its queries
  // and the partial states of others' queries to columns - 1 ranks, and its keys and values to rows - 1.
  // `heads`: of the ranks. The wider of equals.
  static Mesh Of(const AttentionProblem& problem, const HeadShare& heads, int ranks);

  int ranks() const { return rows * columns; }
  // In ascending order, `rank` among them.
  std::vector<int> RowOf(int rank) const;
  std::vector<int> ColumnOf(int rank) const;
  bool operator==(const Mesh&) const = default;
};

}  // namespace attention

#endif  // SRC_PARALLEL_PARTITION_MESH_H_
