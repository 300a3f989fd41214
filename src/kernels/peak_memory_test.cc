// The memory of the whole process while online_softmax works on one head of 65536 tokens: no S^2 anywhere
// (that would be 17 GB), and under 200 MB with everything.
//
// In a binary of its own: the high-water mark of the resident set is the process's, and never falls.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "src/kernels/testing/kernel_test_support.h"

namespace attention {
namespace {

// VmHWM of /proc/self/status, in kB there; 0 if absent.
int64_t PeakResidentBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

TEST(PeakMemoryTest, OneHeadOf65536TokensInUnder200Megabytes) {
  constexpr int64_t kTokens = 65536, kHeadDim = 128;
  TestProblem problem({.tokens = kTokens, .head_dim = kHeadDim, .mask = Mask::Causal(), .mapping = {}});
  problem.Run(problem.Config(AttentionAlgorithm::kOnlineSoftmax, BestIsa(), /*threads=*/2));

  // Q, K, V and O themselves: what is seen must at least hold them.
  const int64_t tensors = 4 * kTokens * kHeadDim * static_cast<int64_t>(sizeof(float));
  const int64_t peak = PeakResidentBytes();
  EXPECT_GT(peak, tensors);
  EXPECT_LT(peak, 200'000'000);
  RecordProperty("peak_resident_bytes", std::to_string(peak));

  // And it was attention that ran. Weights are at most 1 and sum to 1, values are normal: errors of float32
  // sums of S terms grow like sqrt(S) ulp / 2 of an output, 2^-24 * 256 = 1.5e-5 of values of order 1.
  for (int64_t token : {int64_t{0}, int64_t{1}, int64_t{40000}, kTokens - 1}) {
    const std::vector<double> expected = problem.Expected(0, 0, token);
    const float* row = problem.output().Row<float>(0, 0, token);
    for (int64_t d = 0; d < kHeadDim; ++d) ASSERT_NEAR(row[d], expected[d], 1.5e-5) << token << ", " << d;
  }
}

}  // namespace
}  // namespace attention
