#include "src/mpi/communicator.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace attention {
namespace {

TEST(CommunicatorTest, CollectivesOnValues) {
  const Communicator world(MPI_COMM_WORLD);
  const int64_t rank = world.rank(), size = world.size();
  EXPECT_EQ(world.Min(rank + 5), 5);
  EXPECT_EQ(world.Max(rank), size - 1);
  EXPECT_EQ(world.Sum(rank), size * (size - 1) / 2);
  EXPECT_EQ(world.Max(static_cast<double>(rank) / 2), static_cast<double>(size - 1) / 2);
  EXPECT_EQ(world.Min(-static_cast<double>(rank)), -static_cast<double>(size - 1));
  const int root = world.size() - 1;
  EXPECT_EQ(world.Broadcast(world.rank() == root ? "from the root" : "", root), "from the root");
  EXPECT_EQ(world.Broadcast("", 0), "");
}

TEST(CommunicatorTest, SplitOrdersByKeyAndSharesTraffic) {
  const Communicator world(MPI_COMM_WORLD);
  std::optional<Communicator> reversed = world.Split(0, -world.rank());
  ASSERT_TRUE(reversed.has_value());
  EXPECT_EQ(reversed->rank(), world.size() - 1 - world.rank());
  EXPECT_EQ(&reversed->traffic(), &world.traffic());
  std::optional<Communicator> first_only = world.Split(world.rank() == 0 ? 3 : -1, 0);
  EXPECT_EQ(first_only.has_value(), world.rank() == 0);
  if (first_only) {
    EXPECT_EQ(first_only->size(), 1);
  }
}

TEST(CommunicatorTest, MoveLeavesOneOwner) {
  Communicator world(MPI_COMM_WORLD);
  Communicator moved(std::move(world));
  EXPECT_EQ(world.handle(), MPI_COMM_NULL);
  moved.Barrier();
  Communicator other(MPI_COMM_SELF);
  other = std::move(moved);
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  EXPECT_EQ(other.size(), size);
  other.SleepingBarrier();
}

}  // namespace
}  // namespace attention
