// Numbers that break careless kernels, on every algorithm and ISA.
#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "src/attention/attention_state.h"
#include "src/kernels/testing/kernel_test_support.h"

namespace attention {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class HostileNumericsTest : public ::testing::TestWithParam<std::tuple<AttentionAlgorithm, Isa>> {
 protected:
  BackendConfig Config(const TestProblem& problem, int threads = 2) const {
    return problem.Config(std::get<0>(GetParam()), std::get<1>(GetParam()), threads);
  }
  static TestProblem Problem(bool causal) {
    return TestProblem({.heads = 4,
                        .kv_heads = 2,
                        .tokens = 75,
                        .head_dim = 64,
                        .mask = causal ? Mask::Causal() : Mask::Full(),
                        .mapping = {}});
  }
  static void Scale(const TensorView& view, float factor) {
    for (int64_t h = 0; h < view.shape.heads; ++h) {
      for (int64_t t = 0; t < view.shape.tokens; ++t) {
        for (int64_t d = 0; d < view.shape.head_dim; ++d) view.Row<float>(0, h, t)[d] *= factor;
      }
    }
  }
};

// Logits of about +-1e4 have an absolute rounding error near 1e4 * 2^-24 * sqrt(64) = 5e-3, which is the
// weights' relative error: softmax is nearly one-hot, so few rows feel it. 3e-2 leaves room for rows with a
// close second.
TEST_P(HostileNumericsTest, HugeLogits) {
  for (bool causal : {false, true}) {
    TestProblem problem = Problem(causal);
    Scale(problem.q(), 100.0f);
    Scale(problem.k(), 50.0f);
    problem.Run(Config(problem));
    const TestProblem::Errors errors = problem.Compare();
    EXPECT_EQ(errors.non_finite, 0);
    EXPECT_LT(errors.relative_l2, 3e-2);
  }
}

TEST_P(HostileNumericsTest, OneHotIsTheValueItself) {
  TestProblem problem = Problem(false);
  Scale(problem.q(), 0.0f);
  Scale(problem.k(), 0.0f);
  for (int64_t h = 0; h < 4; ++h) {
    for (int64_t t = 0; t < 75; ++t) problem.q().Row<float>(0, h, t)[5] = 1e3f;
  }
  for (int64_t h = 0; h < 2; ++h) problem.k().Row<float>(0, h, 41)[5] = 1e3f;
  problem.Run(Config(problem));
  for (int64_t h = 0; h < 4; ++h) {
    const float* value = problem.v().Row<float>(0, h / 2, 41);
    for (int64_t t = 0; t < 75; ++t) {
      for (int64_t d = 0; d < 64; ++d) {
        // weight / sum, both the same number near 1: two roundings.
        ASSERT_NEAR(problem.output().Row<float>(0, h, t)[d], value[d], std::fabs(value[d]) * 2.5e-7f);
      }
    }
  }
}

TEST_P(HostileNumericsTest, SubnormalInputs) {
  TestProblem problem = Problem(true);
  Scale(problem.q(), 1e-41f);
  Scale(problem.k(), 1e-41f);
  problem.Run(Config(problem));
  EXPECT_LT(problem.Compare().relative_l2, 5e-6);
  Scale(problem.v(), 1e-38f);
  problem.Run(Config(problem));
  EXPECT_EQ(problem.Compare().non_finite, 0);
  // Denormal outputs are multiples of 2^-149.
  EXPECT_LT(problem.Compare().largest, 4 * 0x1p-149 + 1e-38 * 1e-5);
}

// Finite in, finite out, even where float32 overflows on the way: logits beyond 3e38 (which may be taken for
// -inf, so only finiteness is promised), sums of huge values.
TEST_P(HostileNumericsTest, FiniteInFiniteOut) {
  for (bool causal : {false, true}) {
    TestProblem overflowing_logits = Problem(causal);
    Scale(overflowing_logits.q(), 1e20f);
    Scale(overflowing_logits.k(), 1e20f);
    overflowing_logits.Run(Config(overflowing_logits));
    EXPECT_EQ(overflowing_logits.Compare().non_finite, 0);

    TestProblem huge_values = Problem(causal);
    for (int64_t h = 0; h < 2; ++h) {
      for (int64_t t = 0; t < 75; ++t) {
        for (int64_t d = 0; d < 64; ++d) huge_values.v().Row<float>(0, h, t)[d] = 3.3e38f;
      }
    }
    huge_values.Run(Config(huge_values));
    EXPECT_EQ(huge_values.Compare().non_finite, 0);
    EXPECT_LT(huge_values.Compare().relative_l2, 5e-6);
  }
}

// A NaN or inf in one key or value shows in the rows that see it, and in no other.
TEST_P(HostileNumericsTest, NonFiniteKeyOrValueIsConfined) {
  for (float poison : {kNan, kInfinity, -kInfinity}) {
    for (bool in_key : {false, true}) {
      TestProblem problem = Problem(true);
      const TestProblem clean = Problem(true);
      constexpr int64_t kToken = 30;
      (in_key ? problem.k() : problem.v()).Row<float>(0, 1, kToken)[3] = poison;
      problem.Run(Config(problem));
      for (int64_t h = 0; h < 4; ++h) {
        for (int64_t t = 0; t < 75; ++t) {
          const std::vector<double> expected = problem.Expected(0, h, t);
          for (int64_t d = 0; d < 64; ++d) {
            const float got = problem.output().Row<float>(0, h, t)[d];
            const bool sees = h / 2 == 1 && t >= kToken;
            if (!sees) {
              ASSERT_NEAR(got, expected[d], 2e-5) << "head " << h << " row " << t;
            } else if (!std::isfinite(expected[d])) {
              // A key's -inf logit is a weight of 0; everything else must show.
              ASSERT_FALSE(std::isfinite(got)) << "head " << h << " row " << t << " poison " << poison;
            } else {
              ASSERT_NEAR(got, expected[d], 2e-5) << "head " << h << " row " << t;
            }
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, HostileNumericsTest,
                         ::testing::Combine(::testing::ValuesIn(kAllAlgorithms),
                                            ::testing::ValuesIn(SupportedIsas())),
                         [](const auto& info) {
                           return std::string(Name(std::get<0>(info.param))) + "_" +
                                  std::string(Name(std::get<1>(info.param)));
                         });

// Under a causal mask, keys that lie wholly after the queries are seen by none: exactly 0, and an empty
// state.
TEST(MaskedRowsTest, RowsThatSeeNothingAreZero) {
  for (Isa isa : SupportedIsas()) {
    for (AttentionAlgorithm algorithm : kAllAlgorithms) {
      TestProblem problem(
          {.heads = 2, .kv_heads = 1, .tokens = 40, .head_dim = 24, .mask = Mask::Causal(), .mapping = {}});
      // Rows at positions 0 to 39 attend to keys at positions 20 to 59.
      const TokenSegment queries{0, 0, 40}, keys{0, 20, 40};
      AttentionStep step;
      step.query = {problem.q(), {&queries, 1}};
      const KeyValueShard key_values[] = {{problem.k(), problem.v(), {&keys, 1}}};
      step.key_values = key_values;
      step.output = problem.output();
      const auto kernel = MakeAttentionKernel(problem.Config(algorithm, isa));
      kernel->Accumulate(step);
      for (int64_t t = 0; t < 40; ++t) {
        for (int64_t d = 0; d < 24; ++d) {
          const float value = problem.output().Row<float>(0, 1, t)[d];
          if (t < 20) {
            ASSERT_EQ(value, 0.0f) << Name(algorithm) << " " << Name(isa);
          } else {
            ASSERT_TRUE(std::isfinite(value));
          }
        }
      }
      if (!RowOf(algorithm).carries_state) continue;
      AttentionStateBuffer state(1, 2, 40, 24);
      step.state = state.view();
      step.last = false;
      kernel->Accumulate(step);
      EXPECT_EQ(state.view().m[19], -kInfinity);
      EXPECT_EQ(state.view().l[19], 0.0f);
      EXPECT_GT(state.view().l[20], 0.5f);
    }
  }
}

}  // namespace
}  // namespace attention
