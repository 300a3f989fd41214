// Times of messages and work on machines of round numbers, and how a job ends that goes wrong.
#include "src/simulate/simulated_job.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "src/base/aligned_buffer.h"
#include "src/base/error.h"
#include "src/mpi/agreement.h"
#include "src/mpi/request_set.h"
#include "src/simulate/isolated_process.h"
#include "src/simulate/simulated_time.h"

namespace attention {
namespace {

constexpr int64_t kBytes = 4000000;
constexpr double kLatency = 10e-6;

const std::string kFewNodes = R"(name: few
about: for tests
nodes: 4
cores_per_node: 2
isa: scalar
core_speed: 2
within_node: {gb_per_s: 4, latency_us: 1}
network: {gb_per_s: 1, latency_us: 10}
)";

Calibration SmallCalibration() {
  std::string text = std::string(Calibration::kHeader) + "\n";
  for (const char* work : {"copy", "merge", "finish"}) text += std::string(work) + ",,,,,,,,,1000,1e-6\n";
  return Calibration::Parse(text, "c.csv");
}

// What `rank` says on rank 0.
double ResultOf(const std::string& platform_text, const JobShape& shape,
                const std::function<double(Communicator& world)>& rank) {
  const std::string text = RunIsolated([&] {
    double result = 0;
    const Platform platform = Platform::Parse(platform_text, "p.yaml");
    RunSimulatedJob(platform, SmallCalibration(), shape, [&](Communicator& world) {
      const double mine = rank(world);
      if (world.rank() == 0) result = mine;
    });
    char digits[40];
    std::snprintf(digits, sizeof(digits), "%.17g", result);
    return std::string(digits);
  });
  return std::atof(text.c_str());
}

// Seconds of the slowest rank until kBytes have gone from each rank r with to(r) >= 0 to rank to(r), and
// until it has then worked for `work` seconds while they went.
double ExchangeSeconds(Communicator& world, const std::function<int(int)>& to, double work = 0) {
  AlignedBuffer buffer(static_cast<size_t>(kBytes));
  const TensorView block = HeadMajorView(buffer.data(), DataType::kFloat32, {1, 1, kBytes / 4 / 100, 100});
  // All at one moment; a barrier's end is not.
  constexpr double kBegin = 1;
  SleepUntil(kBegin);
  RequestSet requests(world);
  for (int r = 0; r < world.size(); ++r) {
    if (to(r) == world.rank()) requests.Receive({block}, r);
  }
  if (to(world.rank()) >= 0) requests.Send({block}, to(world.rank()));
  SpendSeconds(work);
  requests.Wait("test", 0);
  return world.Max(MPI_Wtime() - kBegin);
}

double SendSeconds(const std::string& platform, int ranks, const std::function<int(int)>& to,
                   double work = 0) {
  return ResultOf(platform, {ranks, 1, Placement::kPacked},
                  [&](Communicator& world) { return ExchangeSeconds(world, to, work); });
}

// An envelope of 16 bytes is part of every message.
constexpr double kTolerance = 1e-5;

TEST(SimulatedJobTest, AMessageTakesItsBytesOverTheBandwidth) {
  const double one = kBytes / 1e9 + kLatency;
  // Ranks 0 and 1 are on node 0, 2 and 3 on node 1.
  EXPECT_NEAR(SendSeconds(kFewNodes, 4, [](int r) { return r == 0 ? 2 : -1; }), one, one * kTolerance);
  const double within = kBytes / 4e9 + 1e-6;
  EXPECT_NEAR(SendSeconds(kFewNodes, 4, [](int r) { return r == 0 ? 1 : -1; }), within, within * kTolerance);
  // Both ways at once: a NIC is full duplex.
  EXPECT_NEAR(SendSeconds(kFewNodes, 4, [](int r) { return r == 0   ? 2
                                                           : r == 2 ? 0
                                                                    : -1; }), one,
              one * kTolerance);
}

TEST(SimulatedJobTest, RanksOfANodeShareItsNic) {
  const double two = 2 * kBytes / 1e9 + kLatency;
  EXPECT_NEAR(SendSeconds(kFewNodes, 6, [](int r) { return r < 2 ? 2 + 2 * r : -1; }), two, two * kTolerance);
  // Two nodes to one.
  EXPECT_NEAR(SendSeconds(kFewNodes, 6, [](int r) { return r == 2 || r == 4 ? 0 : -1; }), two,
              two * kTolerance);
}

TEST(SimulatedJobTest, MessagesTravelWhileARankWorks) {
  const auto to = [](int r) { return r == 0 ? 2 : -1; };
  const double message = kBytes / 1e9 + kLatency;
  // A core of speed 2 does the work of a calibrated second in half of one.
  EXPECT_NEAR(SendSeconds(kFewNodes, 4, to, 1.9 * message), message, message * kTolerance);
  EXPECT_NEAR(SendSeconds(kFewNodes, 4, to, 4 * message), 2 * message, message * kTolerance);
}

TEST(SimulatedJobTest, RanksOfANodeShareItsMemory) {
  const std::string platform = kFewNodes + "memory_gb_per_s: 10\n";
  // Each rank works for a second and a half and moves `bytes` meanwhile; 0 and 1 are of one node.
  const auto seconds = [&](const std::string& machine, int ranks, double bytes) {
    return ResultOf(machine, {ranks, 1, Placement::kPacked}, [&](Communicator&) {
      const double begin = MPI_Wtime();
      SpendSeconds(3, bytes);
      return MPI_Wtime() - begin;
    });
  };
  EXPECT_NEAR(seconds(platform, 1, 10e9), 1.5, 1e-4);
  EXPECT_NEAR(seconds(platform, 1, 20e9), 2, 1e-4);
  EXPECT_NEAR(seconds(platform, 2, 10e9), 2, 1e-4);
  EXPECT_NEAR(seconds(kFewNodes, 2, 10e9), 1.5, 1e-4);
}

TEST(SimulatedJobTest, ATreeOfThinLinksIsShared) {
  // Two switches of two nodes, one link between them each way.
  const std::string tree = kFewNodes + "fat_tree: {down: [2, 2], up: [1, 1], links: [1, 1]}\n";
  const auto crossing = [](int r) { return r == 0 ? 4 : r == 2 ? 6 : -1; };
  const auto beside = [](int r) { return r == 0 ? 2 : r == 4 ? 6 : -1; };
  const double one = kBytes / 1e9;
  EXPECT_NEAR(SendSeconds(tree, 8, beside), one + kLatency, one * kTolerance);
  EXPECT_NEAR(SendSeconds(tree, 8, crossing), 2 * one + 2 * kLatency, one * kTolerance);
  EXPECT_NEAR(SendSeconds(kFewNodes, 8, crossing), one + kLatency, one * kTolerance);
}

TEST(SimulatedJobTest, RanksArePlacedAsAsked) {
  const Platform platform = Platform::Parse(kFewNodes, "p.yaml");
  EXPECT_EQ(NodesUsed(platform, {4, 1, Placement::kPacked}), 2);
  EXPECT_EQ(NodesUsed(platform, {4, 1, Placement::kSpread}), 4);
  EXPECT_EQ(NodesUsed(platform, {4, 2, Placement::kPacked}), 4);
  EXPECT_THROW(NodesUsed(platform, {5, 2, Placement::kPacked}), Error);
  EXPECT_THROW(NodesUsed(platform, {1, 3, Placement::kPacked}), Error);
}

std::string WhatOf(const std::function<double(Communicator& world)>& rank) {
  try {
    ResultOf(kFewNodes, {2, 1, Placement::kPacked}, rank);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(SimulatedJobTest, WhatGoesWrongIsAnError) {
  const auto both = [](Communicator& world) -> double {
    AgreeOnErrors(world, [] { FailUsage("nothing to do"); });
    return 0;
  };
  EXPECT_EQ(WhatOf(both), "nothing to do");
  // Somebody waits for a message that nobody sends.
  const auto alone = [](Communicator& world) {
    return ExchangeSeconds(world, [&](int r) { return r == 0 && world.rank() == 1 ? 1 : -1; });
  };
  EXPECT_NE(WhatOf(alone).find("wait for each other"), std::string::npos);
  // The others wait for a rank that gave up: what it said is what is told.
  const auto gives_up = [](Communicator& world) -> double {
    if (world.rank() == 1) Fail("enough");
    return world.Max(0.0);
  };
  EXPECT_EQ(WhatOf(gives_up), "enough");
  // Whoever touches a buffer has a bug.
  const auto touches = [](Communicator&) {
    AlignedBuffer buffer(64);
    return static_cast<double>(buffer.As<float>()[0]);
  };
  EXPECT_NE(WhatOf(touches), "");
}

}  // namespace
}  // namespace attention
