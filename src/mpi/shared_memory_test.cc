#include "src/mpi/shared_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "src/base/error.h"

namespace attention {
namespace {

// Parts of unlike sizes, one of them empty.
size_t BytesOf(int rank) { return static_cast<size_t>(rank) * 70'000; }

TEST(SharedMemoryTest, PartsAreZeroThenWhatTheirOwnersWrote) {
  const Communicator world(MPI_COMM_WORLD);
  const SharedMemory memory(world, BytesOf(world.rank()));
  for (int rank = 0; rank < world.size(); ++rank) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.part_of(rank)) % 4096, 0u);
    EXPECT_TRUE(std::all_of(memory.part_of(rank), memory.part_of(rank) + BytesOf(rank),
                            [](std::byte b) { return b == std::byte{0}; }));
  }
  for (int round = 1; round <= 3; ++round) {
    memory.Synchronise("a test");
    std::byte* const own = memory.part_of(world.rank());
    std::fill(own, own + BytesOf(world.rank()), static_cast<std::byte>(16 * round + world.rank()));
    memory.Synchronise("a test");
    for (int rank = 0; rank < world.size(); ++rank) {
      const auto expected = static_cast<std::byte>(16 * round + rank);
      EXPECT_TRUE(std::all_of(memory.part_of(rank), memory.part_of(rank) + BytesOf(rank),
                              [&](std::byte b) { return b == expected; }));
    }
  }
}

TEST(SharedMemoryTest, TooMuchIsRefusedOnEveryRank) {
  const Communicator world(MPI_COMM_WORLD);
  try {
    const SharedMemory memory(world, world.rank() == 0 ? size_t{1} << 50 : 1);
    FAIL() << "a pebibyte";
  } catch (const Error& error) {
    EXPECT_EQ(
        std::string(error.what()).find("the ranks of this node are to share 1140850689 MiB of memory, and "),
        0u)
        << error.what();
  }
}

}  // namespace
}  // namespace attention
