// The fixture of the kernels' tests: every algorithm on every ISA against float64.
#ifndef SRC_KERNELS_TESTING_KERNEL_FIXTURE_H_
#define SRC_KERNELS_TESTING_KERNEL_FIXTURE_H_

#include <string>
#include <tuple>

#include "gtest/gtest.h"
#include "src/kernels/testing/kernel_test_support.h"

namespace attention {

using KernelParameter = std::tuple<AttentionAlgorithm, Isa>;

class AttentionKernelTest : public ::testing::TestWithParam<KernelParameter> {
 protected:
  AttentionAlgorithm algorithm() const { return std::get<0>(GetParam()); }
  Isa isa() const { return std::get<1>(GetParam()); }

  // Standard normal inputs have logits of a few units: the logit's rounding (head_dim products), two ULP of
  // the exponential and the sum over keys each contribute some 1e-7, growing like a random walk; together
  // about 1e-6 relative to the output. 5e-6 is the project's bound up to S = 8192; a wrong mask, head or
  // offset shows up at 1e-2 and more.
  //
  // bf16 inputs: the expectation is computed from the rounded inputs. Widened to float32 nothing else
  // changes. Where the CPU multiplies bf16, weights are rounded to 8 bits: each is off by at most 2^-9 of
  // itself, independently, and so is the output, relative to the size of its terms (measured: 1.1e-3, the
  // standard deviation of that rounding).
  static void ExpectAccurate(TestProblem& problem, const std::string& where) {
    const TestProblem::Errors errors = problem.Compare();
    if (problem.shape().data_type == DataType::kBfloat16) {
      EXPECT_EQ(errors.non_finite, 0) << where;
      EXPECT_LT(errors.relative_l2, 0x1p-9) << where;
      return;
    }
    EXPECT_EQ(errors.non_finite, 0) << where;
    EXPECT_LT(errors.relative_l2, 5e-6) << where;
    // One element: at most some times the typical error of values of size 1.
    EXPECT_LT(errors.largest, 2e-5) << where;
  }
  void RunAndCompare(const TestShape& shape, int threads = 1, TileSizes tiles = {}) {
    TestProblem problem(shape);
    BackendConfig config = problem.Config(algorithm(), isa(), threads);
    config.tiles = tiles;
    problem.Run(config);
    ExpectAccurate(problem, shape.Describe() + " threads=" + std::to_string(threads));
  }
};

inline auto EveryKernel() {
  return ::testing::Combine(::testing::ValuesIn(kAllAlgorithms), ::testing::ValuesIn(SupportedIsas()));
}
inline std::string KernelName(const ::testing::TestParamInfo<KernelParameter>& info) {
  return std::string(Name(std::get<0>(info.param))) + "_" + std::string(Name(std::get<1>(info.param)));
}

}  // namespace attention

#endif  // SRC_KERNELS_TESTING_KERNEL_FIXTURE_H_
