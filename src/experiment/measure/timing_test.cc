#include "src/experiment/measure/timing.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "src/base/error.h"
#include "src/mpi/communicator.h"

namespace attention {
namespace {

void ComputeFor(double seconds) {
  const double end = NowSeconds() + seconds;
  while (NowSeconds() < end) {
  }
}

// Another process that computes on this thread's CPU, which both keep to, until it is destroyed.
class Competitor {
 public:
  Competitor() {
    sched_getaffinity(0, sizeof(before_), &before_);
    int first = 0;
    while (!CPU_ISSET(first, &before_)) ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    EXPECT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    child_ = fork();
    if (child_ == 0) {  // only calls that are safe after a fork
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      volatile bool forever = true;
      while (forever) {
      }
    }
    EXPECT_GT(child_, 0);
  }
  ~Competitor() {
    if (child_ > 0) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
    sched_setaffinity(0, sizeof(before_), &before_);
  }
  Competitor(const Competitor&) = delete;
  Competitor& operator=(const Competitor&) = delete;

 private:
  cpu_set_t before_;
  pid_t child_ = -1;
};

class TimingTest : public ::testing::Test {
 protected:
  bool last() const { return world_.rank() + 1 == world_.size(); }

  Communicator world_{MPI_COMM_WORLD};
};

TEST_F(TimingTest, SlowestAndFastestRank) {
  const Timing timing = TimeOnce(world_, [&] { ComputeFor(last() ? 0.05 : 0.001); });
  EXPECT_GE(timing.max_s, 0.05);
  EXPECT_GE(timing.min_s, 0.001);
  if (world_.size() == 1) {
    EXPECT_EQ(timing.min_s, timing.max_s);
    EXPECT_EQ(timing.barrier_skew_s, 0);
  } else {
    EXPECT_LT(timing.min_s, timing.max_s);
  }
  EXPECT_GE(timing.barrier_skew_s, 0);
  EXPECT_GE(timing.steal_s, 0);
}

// A competitor's turn is a switch that nobody asked for: the scheduler gives it one every few milliseconds.
TEST_F(TimingTest, PreemptionOnAnyRank) {
  for (int disturbed = 0; disturbed < world_.size(); ++disturbed) {
    const Timing timing = TimeOnce(world_, [&] {
      if (world_.rank() != disturbed) return;
      const Competitor competitor;
      ComputeFor(0.3);
    });
    EXPECT_GE(timing.involuntary_switches, 3) << "of rank " << disturbed;
  }
}

// What precedes a timed run is not part of it.
TEST_F(TimingTest, PageFaultsOfAllRanks) {
  constexpr int64_t kPages = 300;
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), bytes = page * kPages;
  const auto touch = [&](char* memory) {
    for (size_t at = 0; at < bytes; at += page) memory[at] = 1;
  };
  void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  madvise(mapped, bytes, MADV_NOHUGEPAGE);
  char* memory = static_cast<char*>(mapped);
  const Timing first = TimeOnce(world_, [&] { touch(memory); });
  const Timing second = TimeOnce(world_, [&] { touch(memory); });
  EXPECT_GE(first.page_faults, kPages * world_.size());
  EXPECT_LT(second.page_faults, kPages);
  munmap(mapped, bytes);
}

TEST_F(TimingTest, AnErrorOfOneRankIsThatOfAll) {
  try {
    TimeOnce(world_, [&] {
      if (last()) throw Error("the last rank cannot");
    });
    FAIL() << "no error on rank " << world_.rank();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("the last rank cannot"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace attention
