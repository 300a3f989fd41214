#include "src/parallel/partition/mesh.h"

#include <gtest/gtest.h>

namespace attention {
namespace {

Mesh MeshOf(int64_t query_heads, int64_t kv_heads, int ranks) {
  AttentionProblem problem;
  problem.query_heads = query_heads;
  problem.kv_heads = kv_heads;
  return Mesh::Of(problem, {{0, query_heads}, {0, kv_heads}}, ranks);
}

TEST(MeshTest, MovesTheFewestBytes) {
  // 16 query heads: 16 * (2 * 128 + 2) floats of a token along a row; 8 KV heads: half of that along a
  // column.
  EXPECT_EQ(MeshOf(16, 8, 1), (Mesh{1, 1}));
  EXPECT_EQ(MeshOf(16, 8, 2), (Mesh{2, 1}));
  EXPECT_EQ(MeshOf(16, 8, 7), (Mesh{7, 1}));
  EXPECT_EQ(MeshOf(16, 8, 16), (Mesh{8, 2}));
  EXPECT_EQ(MeshOf(16, 8, 32), (Mesh{8, 4}));
  EXPECT_EQ(MeshOf(8, 8, 4), (Mesh{2, 2}));
  EXPECT_EQ(MeshOf(8, 8, 64), (Mesh{8, 8}));
  // Few KV heads: keys are gathered.
  EXPECT_EQ(MeshOf(32, 1, 8), (Mesh{8, 1}));
}

TEST(MeshTest, RowsAndColumnsMeetInOneRank) {
  const Mesh mesh = {2, 3};
  EXPECT_EQ(mesh.ranks(), 6);
  EXPECT_EQ(mesh.RowOf(4), (std::vector<int>{3, 4, 5}));
  EXPECT_EQ(mesh.ColumnOf(4), (std::vector<int>{1, 4}));
}

}  // namespace
}  // namespace attention
