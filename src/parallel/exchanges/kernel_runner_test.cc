// A message moves while the kernel computes, because the kernel's progress callback polls it; two ranks. MPI
// completes nothing by itself, and no call of MPI comes between: without polling these tests fail.
#include "src/parallel/exchanges/kernel_runner.h"

#include <gtest/gtest.h>
#include <mpi.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace attention {
namespace {

constexpr int kGoTag = 7;  // not RequestSet's
// Far more than MPI sends without asking the receiver, or than a socket holds.
constexpr int64_t kTokens = 8192;
constexpr int64_t kHeadDim = 128;
// Only a failing run comes near it.
constexpr std::chrono::seconds kPatience{30};

// Of this rank's backend; set and read by the test.
Communicator* communicator = nullptr;
bool had_progress = false;
int64_t under_way_at_return = -1;

// Tells rank 1 to send now, so that nothing can have arrived before, and computes until it has arrived.
class PatientBackend : public AttentionBackend {
 public:
  std::string name() const override { return "patient"; }
  size_t workspace_bytes() const override { return 0; }
  TileSizes tiles() const override { return {1, 1}; }
  void Accumulate(const AttentionStep& step) override {
    had_progress = step.progress.poll != nullptr;
    MPI_Send(nullptr, 0, MPI_BYTE, 1, kGoTag, communicator->handle());
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (had_progress && communicator->traffic().under_way > 0 && std::chrono::steady_clock::now() < end) {
      step.progress();
    }
    under_way_at_return = communicator->traffic().under_way;
  }
};

std::unique_ptr<AttentionBackend> MakePatient(const BackendConfig&) {
  return std::make_unique<PatientBackend>();
}

class KernelRunnerTest : public testing::Test {
 protected:
  KernelRunnerTest() : world_(MPI_COMM_WORLD), values_(kTokens * kHeadDim, 0.0f) { communicator = &world_; }

  TensorView block() { return HeadMajorView(values_.data(), DataType::kFloat32, {1, 1, kTokens, kHeadDim}); }

  // Rank 0 calls its kernel while `requests` receive (if `receives`) what rank 1 sends when told.
  void Run(bool poll_progress, bool receives, RequestSet& requests) {
    AttentionProblem problem;
    problem.query_tokens = problem.kv_tokens = 2;
    const AttentionPlan plan =
        AttentionPlan::Make(problem, Variant(), Contract::kNative,
                            {Isa::kScalar, 1, &MakePatient, poll_progress}, world_.size(), world_.rank());
    if (world_.rank() == 0) {
      if (receives) requests.Receive({block()}, 1);
      KernelRunner(plan, {{0, 1}, {0, 1}}, 2, 2).Accumulate({}, {}, {&requests});
    } else {
      MPI_Recv(nullptr, 0, MPI_BYTE, 0, kGoTag, world_.handle(), MPI_STATUS_IGNORE);
      values_.assign(values_.size(), 3.0f);
      if (receives) requests.Send({block()}, 0);
    }
  }

  Communicator world_;
  std::vector<float> values_;
};

TEST_F(KernelRunnerTest, MessagesArriveWhileTheKernelComputes) {
  RequestSet requests(world_);
  Run(/*poll_progress=*/true, /*receives=*/true, requests);
  if (world_.rank() == 0) {
    EXPECT_TRUE(had_progress);
    EXPECT_EQ(under_way_at_return, 0);
    EXPECT_EQ(values_.front(), 3.0f);
    EXPECT_EQ(values_.back(), 3.0f);
  }
  requests.Wait("test", 0);
  if (world_.rank() == 0) {
    EXPECT_EQ(world_.traffic().wait_seconds, 0.0);
  }
  EXPECT_EQ(world_.traffic().under_way, 0);
}

TEST_F(KernelRunnerTest, NothingArrivesIfThePlanSaysSo) {
  RequestSet requests(world_);
  Run(/*poll_progress=*/false, /*receives=*/true, requests);
  if (world_.rank() == 0) {
    EXPECT_FALSE(had_progress);
    EXPECT_EQ(under_way_at_return, 1);
  }
  requests.Wait("test", 0);
  EXPECT_EQ(world_.traffic().under_way, 0);
}

// A kernel with nothing to wait for is not called back.
TEST_F(KernelRunnerTest, NoProgressWithoutMessages) {
  RequestSet requests(world_);
  Run(/*poll_progress=*/true, /*receives=*/false, requests);
  if (world_.rank() == 0) {
    EXPECT_FALSE(had_progress);
  }
}

}  // namespace
}  // namespace attention
