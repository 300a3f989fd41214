// Every mask in every algorithm on every ISA against float64.
#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "src/kernels/attention_kernel.h"
#include "src/kernels/testing/kernel_fixture.h"

namespace attention {
namespace {

// Windows smaller than a tile, as long as one, and longer than the sequence; documents of length 1, shorter
// and longer than a tile. In whole and in segments out of order; on tiles of a test's own sizes and on the
// kernel's.
TEST_P(AttentionKernelTest, EveryMaskAgreesWithFloat64) {
  const std::vector<Mask> masks = {Mask::Window(1),
                                   Mask::Window(7),
                                   Mask::Window(16),
                                   Mask::Window(150),
                                   Mask::Window(1000),
                                   Mask::Parse("documents:1+1+9+60+1+132+85"),
                                   Mask::Parse("documents:289")};
  const std::vector<TokenSegment> whole = {{0, 0, 289}};
  const std::vector<TokenSegment> cut = {{200, 200, 89}, {0, 0, 1}, {1, 1, 50}, {51, 51, 0}, {51, 51, 149}};
  int number = 0;
  for (const Mask& mask : masks) {
    for (DataType type : {DataType::kFloat32, DataType::kBfloat16}) {
      for (const std::vector<TokenSegment>& segments : {whole, cut}) {
        ++number;
        TestProblem problem({.heads = 4,
                             .kv_heads = 2,
                             .tokens = 289,
                             .head_dim = 40,
                             .mask = mask,
                             .token_major = number % 3 == 0,
                             .data_type = type,
                             .mapping = {}});
        BackendConfig config = problem.Config(algorithm(), isa(), number % 2 == 0 ? 1 : 3);
        if (number % 4 < 2) config.tiles = {.q_block = 10, .kv_block = 16};
        const KeyValueShard key_values[] = {{problem.k(), problem.v(), segments}};
        AttentionStep step{.query = {problem.q(), segments}, .key_values = key_values};
        step.output = problem.output();
        MakeAttentionKernel(config)->Accumulate(step);
        ExpectAccurate(problem, problem.shape().Describe());
      }
    }
  }
}

// A mask's lower end, too, must keep what it hides out of the result, and of the way: a NaN there is not
// seen.
TEST_P(AttentionKernelTest, WhatAMaskHidesIsNotRead) {
  for (const Mask& mask : {Mask::Window(20), Mask::Parse("documents:50+100+50")}) {
    TestProblem problem(
        {.heads = 2, .kv_heads = 1, .tokens = 200, .head_dim = 32, .mask = mask, .mapping = {}});
    for (int64_t d = 0; d < 32; ++d) {
      problem.k().Row<float>(0, 0, 10)[d] = NAN;
      problem.v().Row<float>(0, 0, 10)[d] = NAN;
    }
    problem.Run(problem.Config(algorithm(), isa()));
    for (int64_t t = 0; t < 200; ++t) {
      const KeyRange visible = mask.Visible(t);
      const bool sees = visible.begin <= 10 && 10 < visible.end;
      ASSERT_EQ(std::isnan(problem.output().Row<float>(0, 1, t)[0]), sees) << Name(mask) << " row " << t;
    }
  }
}

// Decode under a window: whatever lies before it, on every number of threads. Narrow windows give outputs of
// size 1, where the mean of thousands of values above is of size 0.02: the bound is that of a relative error
// of 5e-6.
TEST_P(AttentionKernelTest, FewQueriesUnderEveryMask) {
  for (const Mask& mask : {Mask::Full(), Mask::Window(1), Mask::Window(600), Mask::Window(2900),
                           Mask::Parse("documents:2000+3001+2"), Mask::Parse("documents:5000+1+1+1")}) {
    for (int threads : {1, 3}) {
      TestProblem problem(
          {.heads = 4, .kv_heads = 2, .tokens = 5003, .head_dim = 64, .mask = mask, .mapping = {}});
      const TokenSegment queries{0, 5000, 3};
      const std::vector<TokenSegment> keys = {{0, 0, 2200}, {2200, 2200, 2803}};
      const KeyValueShard key_values[] = {{problem.k(), problem.v(), keys}};
      AttentionStep step{.query = {problem.q().SliceTokens(5000, 3), {&queries, 1}},
                         .key_values = key_values};
      step.output = problem.output().SliceTokens(5000, 3);
      BackendConfig config = problem.Config(algorithm(), isa(), threads);
      config.max_query_tokens = 3;
      MakeAttentionKernel(config)->Accumulate(step);
      for (int64_t h = 0; h < 4; ++h) {
        for (int64_t t = 5000; t < 5003; ++t) {
          const std::vector<double> expected = problem.Expected(0, h, t);
          for (int64_t d = 0; d < 64; ++d) {
            ASSERT_NEAR(problem.output().Row<float>(0, h, t)[d], expected[d], 5e-6)
                << Name(mask) << " threads " << threads << " head " << h << " row " << t;
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, AttentionKernelTest, EveryKernel(), KernelName);

}  // namespace
}  // namespace attention
