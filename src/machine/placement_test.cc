// Which rank and thread gets which CPU.
#include "src/machine/placement.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace attention {
namespace {

TEST(PlacementTest, PackedFillsNodesAndSpreadAlternates) {
  Topology topology;
  topology.nodes = {{.host = "a", .ranks = {0, 1, 2, 3}, .cpus = {0, 1, 2, 3, 4, 5, 6, 7}},
                    {.host = "b", .ranks = {4, 5, 6, 7}, .cpus = {0, 1, 2, 3, 4, 5, 6, 7}}};
  const auto describe = [&](int ranks, int threads, Placement placement) {
    const Assignment assignment = AssignRanks(topology, ranks, threads, placement);
    std::string text = std::to_string(assignment.nodes) + (assignment.oversubscribed ? "!" : "") + ":";
    for (const auto& member : assignment.members) {
      text += " " + std::to_string(member.world_rank) + "@" + FormatCpuList(member.cpus);
    }
    return text;
  };
  EXPECT_EQ(describe(2, 1, Placement::kPacked), "1: 0@0 1@1");
  EXPECT_EQ(describe(2, 2, Placement::kPacked), "1: 0@0-1 1@2-3");
  EXPECT_EQ(describe(2, 2, Placement::kSpread), "2: 0@0,4 4@0,4");
  EXPECT_EQ(describe(5, 1, Placement::kPacked), "2: 0@0 1@1 2@2 3@3 4@0");
  EXPECT_EQ(describe(3, 1, Placement::kSpread), "2: 0@0 4@0 1@4");
  EXPECT_EQ(describe(4, 3, Placement::kPacked), "1!: 0@0-2 1@3-5 2@6-7,0 3@1-3");
  // A quota of CPU time below the threads is too few CPUs by another name.
  topology.nodes[0].granted_cpus = 1.5;
  EXPECT_EQ(describe(1, 1, Placement::kPacked), "1: 0@0");
  EXPECT_EQ(describe(2, 1, Placement::kPacked), "1!: 0@0 1@1");
}

TEST(PlacementTest, PinningIsReadBack) {
  const std::vector<int> before = CurrentCpus();
  ASSERT_FALSE(before.empty());
  EXPECT_EQ(PinThreads({before.front()}), std::to_string(before.front()));
  const std::string both = PinThreads({before.front(), before.back()});
  EXPECT_EQ(both, std::to_string(before.front()) + ";" + std::to_string(before.back()));
}

}  // namespace
}  // namespace attention
