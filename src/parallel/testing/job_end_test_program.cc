// Ranks that fail in the middle of a run, for job_end_test.sh: how does the whole job end?
//   job_end_test_program hang|throw|throw-agreed|die
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "src/attention/reference_backend.h"
#include "src/base/error.h"
#include "src/mpi/agreement.h"
#include "src/mpi/environment.h"
#include "src/parallel/contracts/distributed_attention.h"
#include "src/parallel/make_distributed_attention.h"

namespace attention {
namespace {

std::string mode;  // set once in main

// Fails in its second step, in the middle of the ring.
class FailingBackend : public AttentionBackend {
 public:
  std::string name() const override { return "failing"; }
  size_t workspace_bytes() const override { return 0; }
  TileSizes tiles() const override { return {1, 1}; }
  void Accumulate(const AttentionStep& step) override {
    if (step.first) return;
    if (mode == "throw" || mode == "throw-agreed") Fail("this rank's kernel failed");
    if (mode == "die") std::raise(SIGKILL);
    // Not an empty loop: a compiler may assume that it ends.
    for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
  }
};

std::unique_ptr<AttentionBackend> MakeFailing(const BackendConfig&) {
  return std::make_unique<FailingBackend>();
}

void Run() {
  Communicator world(MPI_COMM_WORLD);
  world.settings().watchdog_seconds = mode == "throw-agreed" ? 100 : 1;  // longer than the test waits
  AttentionProblem problem;
  problem.query_tokens = problem.kv_tokens = 30;
  problem.head_dim = 8;
  Variant variant;
  variant.strategy = ParallelStrategy::kSequence;
  variant.exchange = Exchange::kRing;
  const BackendFactory backend = world.rank() == 1 ? &MakeFailing : &MakeReferenceBackend;
  const auto attention =
      MakeDistributedAttention(world, problem, variant, Contract::kNative, {Isa::kScalar, 1, backend, true});
  std::vector<float> values(240);
  const TensorView view =
      HeadMajorView(values.data(), DataType::kFloat32, {1, 1, attention->query_shard().local_tokens(), 8});
  for (;;) attention->Run(view, view, view, view);
}

}  // namespace
}  // namespace attention

int main(int argc, char** argv) {
  attention::mode = argc > 1 ? argv[1] : "hang";
  try {
    attention::MpiEnvironment environment(&argc, &argv);
    if (attention::mode == "throw-agreed") {
      const attention::Communicator ending(MPI_COMM_WORLD);
      attention::AgreeOnErrorsOrEndJob(ending, "test", 1, &attention::Run);
    }
    attention::Run();
  } catch (const attention::Error& error) {
    // Not reached where the other ranks wait: the environment has ended the job. Said for completeness.
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
