#include "src/parallel/partition/mesh.h"

namespace attention {

Mesh Mesh::Of(const AttentionProblem& problem, const HeadShare& heads, int ranks) {
  const double per_column = static_cast<double>(InputBytes(problem, heads.query.size(), 1) +
                                                StateBytes(problem, heads.query.size(), 1));
  const double per_row = static_cast<double>(2 * InputBytes(problem, heads.kv.size(), 1));
  const auto cost = [&](const Mesh& mesh) {
    return (mesh.columns - 1) * per_column + (mesh.rows - 1) * per_row;
  };
  Mesh best = {ranks, 1};
  for (int columns = 2; columns <= ranks; ++columns) {
    if (ranks % columns != 0) continue;
    const Mesh mesh = {ranks / columns, columns};
    if (cost(mesh) <= cost(best)) best = mesh;
  }
  return best;
}

std::vector<int> Mesh::RowOf(int rank) const {
  std::vector<int> members;
  for (int column = 0; column < columns; ++column) members.push_back(rank - rank % columns + column);
  return members;
}

std::vector<int> Mesh::ColumnOf(int rank) const {
  std::vector<int> members;
  for (int row = 0; row < rows; ++row) members.push_back(rank % columns + row * columns);
  return members;
}

}  // namespace attention
