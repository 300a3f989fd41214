// One thread, so that the order of calls is known: what is packed before what, and when a unit counts as
// done.
#include "src/kernels/threads/group_pipeline.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace attention {
namespace {

TEST(GroupPipelineTest, PacksAheadAndFinishesBeforeABufferComesRoundAgain) {
  GroupPipeline pipeline(5);
  for (int64_t units : {5, 1}) {  // again, with fewer
    pipeline.Reset(units, /*chunks_per_unit=*/1, /*tiles_per_unit=*/2);
    std::string calls;
    const auto note = [&](char what, int64_t unit, int64_t buffer) {
      EXPECT_EQ(buffer, unit % GroupPipeline::kBuffers);
      calls += what + std::to_string(unit) + " ";
    };
    pipeline.Run([&](int64_t unit, int64_t, int64_t buffer) { note('p', unit, buffer); },
                 [&](int64_t unit, int64_t, int64_t buffer) { note('c', unit, buffer); },
                 [&](int64_t unit, int64_t buffer) { note('f', unit, buffer); }, [] { FAIL() << "waits"; });
    EXPECT_EQ(calls,
              units == 1 ? "p0 c0 c0 f0 " : "p0 p1 c0 c0 f0 p2 c1 c1 f1 p3 c2 c2 f2 p4 c3 c3 f3 c4 c4 f4 ");
  }
}

// Whatever the threads do, a buffer is packed only when everything of the unit before it there is finished,
// and each tile is computed once, after all its unit's chunks.
TEST(GroupPipelineTest, NoBufferIsPackedTooEarly) {
  constexpr int64_t kUnits = 40, kChunks = 3, kTiles = 4;
  constexpr int kThreads = 4;
  GroupPipeline pipeline(kUnits);
  pipeline.Reset(kUnits, kChunks, kTiles);
  std::vector<std::atomic<int64_t>> packed(kUnits), computed(kUnits), finished(kUnits);
  std::atomic<int64_t> errors = 0;
  const auto run = [&] {
    int64_t open = 0;  // of this thread
    pipeline.Run(
        [&](int64_t unit, int64_t, int64_t) {
          if (unit >= GroupPipeline::kBuffers && finished[unit - GroupPipeline::kBuffers] != kTiles) ++errors;
          ++packed[unit];
        },
        [&](int64_t unit, int64_t, int64_t) {
          if (packed[unit] != kChunks) ++errors;
          ++computed[unit];
          ++open;
        },
        [&](int64_t unit, int64_t) {
          finished[unit] += open;
          open = 0;
        },
        [] {});
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(run);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(errors, 0);
  for (int64_t unit = 0; unit < kUnits; ++unit) {
    EXPECT_EQ(packed[unit], kChunks);
    EXPECT_EQ(computed[unit], kTiles);
    EXPECT_EQ(finished[unit], kTiles);
  }
}

}  // namespace
}  // namespace attention
