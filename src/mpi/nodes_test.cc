#include "src/mpi/nodes.h"

#include <gtest/gtest.h>

namespace attention {
namespace {

// The tests' ranks are all on this machine.
TEST(NodesTest, OneMachineIsOneNodeOrAsManyAsAskedFor) {
  const Communicator world(MPI_COMM_WORLD);
  EXPECT_EQ(NodeOfRanks(world), std::vector<int>(static_cast<size_t>(world.size()), 0));
  world.settings().most_ranks_of_node = 2;
  const std::vector<int> nodes = NodeOfRanks(world);
  for (size_t rank = 0; rank < nodes.size(); ++rank) EXPECT_EQ(nodes[rank], static_cast<int>(rank / 2 * 2));
}

}  // namespace
}  // namespace attention
