// Every algorithm on every ISA against float64, over shapes that divide nothing.
#include "src/kernels/attention_kernel.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "src/attention/attention_state.h"
#include "src/base/error.h"
#include "src/kernels/testing/kernel_test_support.h"

namespace attention {
namespace {

using Parameter = std::tuple<AttentionAlgorithm, Isa>;

class AttentionKernelTest : public ::testing::TestWithParam<Parameter> {
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

TEST_P(AttentionKernelTest, OddShapes) {
  struct Heads {
    int64_t heads, kv_heads;
  };
  // Every pair of (tokens, heads) with the other factors cycling through their values.
  const std::vector<int64_t> head_dims = {32, 64, 80, 128, 256, 1, 7, 100};
  size_t cycle = 0;
  for (int64_t tokens : {1, 3, 37, 130, 257}) {
    for (Heads heads : {Heads{4, 4}, {6, 2}, {5, 1}, {16, 8}}) {
      for (bool causal : {false, true}) {
        const TestShape shape{.batch = cycle % 5 == 0 ? 3 : 1,
                              .heads = heads.heads,
                              .kv_heads = heads.kv_heads,
                              .tokens = tokens,
                              .head_dim = head_dims[cycle % head_dims.size()],
                              .mask = causal ? Mask::Causal() : Mask::Full(),
                              .token_major = cycle % 3 == 0,
                              .mapping = {}};
        RunAndCompare(shape, 1 + static_cast<int>(cycle % 3));
        ++cycle;
      }
    }
  }
}

TEST_P(AttentionKernelTest, Bfloat16) {
  const std::vector<int64_t> head_dims = {32, 64, 80, 128, 256, 1, 7, 100, 2, 14};
  size_t cycle = 0;
  for (int64_t tokens : {1, 3, 37, 130, 257}) {
    for (int64_t heads : {2, 6}) {
      for (bool causal : {false, true}) {
        RunAndCompare({.heads = heads,
                       .kv_heads = 2,
                       .tokens = tokens,
                       .head_dim = head_dims[cycle % head_dims.size()],
                       .mask = causal ? Mask::Causal() : Mask::Full(),
                       .token_major = cycle % 3 == 0,
                       .data_type = DataType::kBfloat16,
                       .mapping = {}},
                      1 + static_cast<int>(cycle % 2), cycle % 4 == 0 ? TileSizes{5, 11} : TileSizes{});
        ++cycle;
      }
    }
  }
}

TEST_P(AttentionKernelTest, EveryHeadDim) {
  for (int64_t head_dim :
       {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 64, 80, 96, 100, 127, 128, 129, 255, 256}) {
    RunAndCompare({.heads = 2, .tokens = 50, .head_dim = head_dim, .mask = Mask::Causal(), .mapping = {}});
  }
}

TEST_P(AttentionKernelTest, TilesOfAnySize) {
  for (const TileSizes& tiles : {TileSizes{1, 1}, {3, 5}, {17, 31}, {64, 64}, {1000, 1000}}) {
    for (bool causal : {false, true}) {
      RunAndCompare({.heads = 6,
                     .kv_heads = 2,
                     .tokens = 150,
                     .head_dim = 40,
                     .mask = causal ? Mask::Causal() : Mask::Full(),
                     .mapping = {}},
                    2, tiles);
    }
  }
}

// A rank whose heads start and end inside a group: heads 2 to 8 of groups of 3 read KV heads 0, 1, 1, 1, 2,
// 2, 2 of the model, held from KV head 0 on.
TEST_P(AttentionKernelTest, HeadsStartingInsideAGroup) {
  RunAndCompare({.heads = 7,
                 .kv_heads = 3,
                 .tokens = 70,
                 .head_dim = 64,
                 .mask = Mask::Causal(),
                 .mapping = {.group_size = 3, .first_query_head = 2, .first_kv_head = 0}},
                2);
  RunAndCompare({.heads = 4,
                 .kv_heads = 2,
                 .tokens = 41,
                 .head_dim = 32,
                 .mask = Mask::Full(),
                 .mapping = {.group_size = 4, .first_query_head = 6, .first_kv_head = 1}});
}

// Queries and keys of one rank in several segments (zigzag: an early and a late chunk), stored in an order of
// their own, with masks by global position.
TEST_P(AttentionKernelTest, SeveralSegmentsInOneStep) {
  for (int i = 0; i < 4; ++i) {
    TestProblem problem({.heads = 4,
                         .kv_heads = 2,
                         .tokens = 143,
                         .head_dim = 48,
                         .mask = i % 2 == 1 ? Mask::Causal() : Mask::Full(),
                         .data_type = i < 2 ? DataType::kFloat32 : DataType::kBfloat16,
                         .mapping = {}});
    // The same rows, visited in pieces and out of order.
    const std::vector<TokenSegment> queries = {
        {100, 100, 43}, {0, 0, 1}, {1, 1, 50}, {51, 51, 0}, {51, 51, 49}};
    const std::vector<TokenSegment> keys = {{37, 37, 29}, {66, 66, 77}, {0, 0, 37}};
    AttentionStep step;
    step.query = {problem.q(), queries};
    const KeyValueShard key_values[] = {{problem.k(), problem.v(), keys}};
    step.key_values = key_values;
    step.output = problem.output();
    BackendConfig config = problem.Config(algorithm(), isa(), 2);
    config.tiles = {.q_block = 10, .kv_block = 16};
    MakeAttentionKernel(config)->Accumulate(step);
    ExpectAccurate(problem, problem.shape().Describe());
  }
}

TEST_P(AttentionKernelTest, LocalAndGlobalPositionsDiffer) {
  // The rank holds tokens 60 to 99 of the queries at local rows 0 to 39; all keys.
  TestProblem problem({.heads = 2, .tokens = 100, .head_dim = 32, .mask = Mask::Causal(), .mapping = {}});
  const TokenSegment queries{0, 60, 40}, keys{0, 0, 100};
  AttentionStep step;
  step.query = {problem.q().SliceTokens(60, 40), {&queries, 1}};
  const KeyValueShard key_values[] = {{problem.k(), problem.v(), {&keys, 1}}};
  step.key_values = key_values;
  step.output = problem.output().SliceTokens(60, 40);
  const auto kernel = MakeAttentionKernel(problem.Config(algorithm(), isa()));
  kernel->Accumulate(step);
  const TokenSegment first_queries{0, 0, 60};
  step.query = {problem.q(), {&first_queries, 1}};
  step.output = problem.output();
  kernel->Accumulate(step);
  ExpectAccurate(problem, problem.shape().Describe());
}

// Decode and short prompts: the last rows of a sequence attend to all keys, which are split among threads and
// runs.
TEST_P(AttentionKernelTest, FewQueriesMeetManyKeys) {
  // Whole vectors, halves of what a kernel takes at once, and odd ends.
  const std::vector<int64_t> head_dims = {72, 192, 199, 256, 64, 100};
  size_t cycle = 0;
  for (int64_t rows : {1, 2, 5}) {
    for (int threads : {1, 3}) {
      const int64_t head_dim = head_dims[cycle++];
      TestProblem problem({.heads = 4,
                           .kv_heads = 2,
                           .tokens = 5003,
                           .head_dim = head_dim,
                           .mask = Mask::Causal(),
                           .token_major = rows == 2,
                           .mapping = {}});
      const TokenSegment queries{0, 5003 - rows, rows};
      const std::vector<TokenSegment> keys = {{0, 0, 2200}, {2200, 2200, 2803}};
      AttentionStep step;
      step.query = {problem.q().SliceTokens(5003 - rows, rows), {&queries, 1}};
      const KeyValueShard key_values[] = {{problem.k(), problem.v(), keys}};
      step.key_values = key_values;
      step.output = problem.output().SliceTokens(5003 - rows, rows);
      BackendConfig config = problem.Config(algorithm(), isa(), threads);
      config.max_query_tokens = rows;
      MakeAttentionKernel(config)->Accumulate(step);
      for (int64_t h = 0; h < 4; ++h) {
        for (int64_t t = 5003 - rows; t < 5003; ++t) {
          const std::vector<double> expected = problem.Expected(0, h, t);
          // The mean of 5003 values of size 1: outputs of size 0.02, errors some 1e-6 of that.
          for (int64_t d = 0; d < head_dim; ++d) {
            ASSERT_NEAR(problem.output().Row<float>(0, h, t)[d], expected[d], 1e-6)
                << "rows " << rows << " threads " << threads << " head " << h << " head_dim " << head_dim;
          }
        }
      }
    }
  }
}

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

TEST_P(AttentionKernelTest, EmptyShards) {
  TestProblem problem(
      {.heads = 3, .kv_heads = 3, .tokens = 20, .head_dim = 33, .mask = Mask::Causal(), .mapping = {}});
  const auto kernel = MakeAttentionKernel(problem.Config(algorithm(), isa(), 2));
  const TokenSegment all{0, 0, 20}, empty{0, 0, 0};
  AttentionStep step;
  step.query = {problem.q(), {&all, 1}};
  step.output = problem.output();
  for (const auto& segments : {std::span<const TokenSegment>(), std::span<const TokenSegment>(&empty, 1)}) {
    for (float& value : std::span(problem.output().Row<float>(0, 0, 0), 3 * 20 * 33)) value = NAN;
    const KeyValueShard key_values[] = {
        {problem.k().SliceTokens(0, 0), problem.v().SliceTokens(0, 0), segments}};
    step.key_values = key_values;
    kernel->Accumulate(step);
    for (float value : std::span(problem.output().Row<float>(0, 0, 0), 3 * 20 * 33)) ASSERT_EQ(value, 0.0f);
  }
  step.key_values = {};
  kernel->Accumulate(step);
  for (float value : std::span(problem.output().Row<float>(0, 0, 0), 3 * 20 * 33)) ASSERT_EQ(value, 0.0f);
  step.query = {problem.q().SliceTokens(0, 0), {}};
  step.output = problem.output().SliceTokens(0, 0);
  kernel->Accumulate(step);
}

TEST_P(AttentionKernelTest, CallsProgressFromTheCallingThreadOnly) {
  struct Seen {
    std::thread::id caller;
    int64_t calls = 0;
    bool foreign = false;
  } seen{std::this_thread::get_id()};
  TestProblem problem(
      {.heads = 4, .kv_heads = 2, .tokens = 300, .head_dim = 64, .mask = Mask::Causal(), .mapping = {}});
  const TokenSegment all{0, 0, 300};
  AttentionStep step;
  step.query = {problem.q(), {&all, 1}};
  const KeyValueShard key_values[] = {{problem.k(), problem.v(), {&all, 1}}};
  step.key_values = key_values;
  step.output = problem.output();
  step.progress = {[](void* context) {
                     Seen& seen = *static_cast<Seen*>(context);
                     ++seen.calls;
                     if (std::this_thread::get_id() != seen.caller) seen.foreign = true;
                   },
                   &seen};
  MakeAttentionKernel(problem.Config(algorithm(), isa(), 1))->Accumulate(step);
  EXPECT_GT(seen.calls, 4);
  for (int i = 0; i < 5; ++i) MakeAttentionKernel(problem.Config(algorithm(), isa(), 3))->Accumulate(step);
  EXPECT_FALSE(seen.foreign);
}

TEST_P(AttentionKernelTest, RefusesWhatDoesNotFit) {
  TestProblem problem({.heads = 2, .tokens = 10, .head_dim = 16, .mapping = {}});
  BackendConfig config = problem.Config(algorithm(), isa());
  config.head_dim = 257;
  EXPECT_THROW(MakeAttentionKernel(config), Error);
  config = problem.Config(algorithm(), isa());
  config.heads.first_query_head = 5;
  EXPECT_THROW(MakeAttentionKernel(config), Error);
  config = problem.Config(algorithm(), isa());
  config.max_kv_tokens = 9;
  EXPECT_THROW(problem.Run(config), Error);
  config = problem.Config(algorithm(), isa());
  config.head_dim = 8;
  EXPECT_THROW(problem.Run(config), Error);
  const auto kernel = MakeAttentionKernel(problem.Config(algorithm(), isa()));
  const TokenSegment all{0, 0, 10}, negative{0, 0, -1};
  AttentionStep step;
  step.query = {problem.q(), {&negative, 1}};
  const KeyValueShard key_values[] = {{problem.k(), problem.v(), {&all, 1}}};
  step.key_values = key_values;
  step.output = problem.output();
  EXPECT_THROW(kernel->Accumulate(step), Error);
  step.query.segments = {&all, 1};
  if (RowOf(algorithm()).carries_state) return;
  step.kv_heads = {0, 0};
  EXPECT_THROW(kernel->Accumulate(step), Error);
}

INSTANTIATE_TEST_SUITE_P(All, AttentionKernelTest,
                         ::testing::Combine(::testing::ValuesIn(kAllAlgorithms),
                                            ::testing::ValuesIn(SupportedIsas())),
                         [](const auto& info) {
                           return std::string(Name(std::get<0>(info.param))) + "_" +
                                  std::string(Name(std::get<1>(info.param)));
                         });

// Steps of a ring: keys arrive in pieces, the state carries over.
class OnlineStepsTest : public ::testing::TestWithParam<Isa> {};

void RunSteps(TestProblem& problem, const BackendConfig& config, std::span<const TokenSegment> queries,
              const std::vector<std::vector<TokenSegment>>& key_steps) {
  const TestShape& shape = problem.shape();
  AttentionStateBuffer state(shape.batch, shape.heads, shape.tokens, shape.head_dim);
  // `first` must not read it.
  for (float& value : std::span(state.view().m, shape.batch * shape.heads * shape.tokens)) value = NAN;
  const auto kernel = MakeAttentionKernel(config);
  for (size_t i = 0; i < key_steps.size(); ++i) {
    AttentionStep step;
    step.query = {problem.q(), queries};
    const KeyValueShard key_values[] = {{problem.k(), problem.v(), key_steps[i]}};
    step.key_values = key_values;
    step.state = state.view();
    step.output = problem.output();
    step.first = i == 0;
    step.last = i + 1 == key_steps.size();
    kernel->Accumulate(step);
  }
}

bool IsSameToTheBit(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}
std::span<float> MutableValues(const TensorView& view) {
  return std::span(view.Row<float>(0, 0, 0), static_cast<size_t>(view.shape.elements()));
}
std::vector<float> AllValues(const TensorView& view) {
  const std::span<float> values = MutableValues(view);
  return {values.begin(), values.end()};
}

// The last KV head attends to the last two steps' keys one after the other, the others in one pass.
void RunStepsLastTwoAsOne(TestProblem& problem, const BackendConfig& config,
                          std::span<const TokenSegment> queries,
                          const std::vector<std::vector<TokenSegment>>& key_steps) {
  const TestShape& shape = problem.shape();
  AttentionStateBuffer state(shape.batch, shape.heads, shape.tokens, shape.head_dim);
  const auto kernel = MakeAttentionKernel(config);
  AttentionStep step;
  step.query = {problem.q(), queries};
  step.state = state.view();
  step.output = problem.output();
  step.last = false;
  const size_t last = key_steps.size() - 1;
  for (size_t i = 0; i + 1 < last; ++i) {
    const KeyValueShard key_values[] = {{problem.k(), problem.v(), key_steps[i]}};
    step.key_values = key_values;
    kernel->Accumulate(step);
    step.first = false;
  }
  const int64_t end = shape.kv_heads - 1;
  const KeyValueShard shards[] = {{problem.k(), problem.v(), key_steps[last - 1]},
                                  {problem.k(), problem.v(), key_steps[last]}};
  step.key_values = std::span(shards, 1);
  step.kv_heads = {end, end + 1};
  kernel->Accumulate(step);
  step.last = true;
  step.key_values = shards;
  step.kv_heads = {0, end};
  kernel->Accumulate(step);
  step.first = false;
  step.key_values = std::span(shards + 1, 1);
  step.kv_heads = {end, end + 1};
  kernel->Accumulate(step);
}

TEST_P(OnlineStepsTest, RingAndZigzag) {
  const std::vector<TokenSegment> whole = {{0, 0, 131}};
  const std::vector<std::vector<TokenSegment>> ring = {{{70, 70, 40}}, {{110, 110, 21}}, {}, {{0, 0, 70}}};
  const std::vector<TokenSegment> halves = {{0, 0, 33}, {33, 33, 98}};
  const std::vector<std::vector<TokenSegment>> zigzag = {
      {{33, 33, 33}, {66, 66, 32}}, {{0, 0, 33}, {98, 98, 33}}, {{0, 0, 0}}};
  for (const Mask& mask :
       {Mask::Full(), Mask::Causal(), Mask::Window(50), Mask::Parse("documents:1+69+61")}) {
    for (bool token_major : {false, true}) {
      for (int threads : {1, 3}) {
        TestProblem problem({.batch = 2,
                             .heads = 6,
                             .kv_heads = 2,
                             .tokens = 131,
                             .head_dim = 72,
                             .mask = mask,
                             .token_major = token_major,
                             .mapping = {}});
        const BackendConfig config = problem.Config(AttentionAlgorithm::kOnlineSoftmax, GetParam(), threads);
        RunSteps(problem, config, whole, ring);
        EXPECT_LT(problem.Compare().relative_l2, 5e-6) << "ring " << problem.shape().Describe();
        RunSteps(problem, config, halves, zigzag);
        EXPECT_LT(problem.Compare().relative_l2, 5e-6) << "zigzag " << problem.shape().Describe();
      }
    }
  }
}

// Steps of a ring as above, but the last two taken as one, KV head by KV head in any order, are the same to
// the bit: a strategy may choose by what has arrived.
TEST_P(OnlineStepsTest, TwoStepsAsOneAreTheSameToTheBit) {
  const std::vector<TokenSegment> queries = {{0, 0, 33}, {33, 57, 98}};
  const std::vector<std::vector<std::vector<TokenSegment>>> rings = {
      {{{0, 57, 70}, {70, 33, 24}}, {{94, 0, 33}, {127, 127, 4}}},
      // The first rows see nothing of the first or of the second step; all see some of the last.
      {{{0, 40, 90}}, {{90, 120, 35}}, {{125, 0, 6}}},
      {{{0, 120, 35}}, {{35, 40, 80}}, {}, {{115, 0, 5}, {120, 5, 11}}},
  };
  for (const auto& ring : rings) {
    for (const Mask& mask :
         {Mask::Full(), Mask::Causal(), Mask::Window(30), Mask::Parse("documents:40+1+114")}) {
      for (int threads : {1, 3}) {
        // Values that overflow, or are no numbers, in some rows' sums: those rows are repaired.
        for (const auto& [rows, spoilt] : {std::pair(131, 0.0f), {2, 0.0f}, {131, 3e38f}, {131, INFINITY}}) {
          TestProblem problem({.batch = 2,
                               .heads = 6,
                               .kv_heads = 3,
                               .tokens = 131,
                               .head_dim = 72,
                               .mask = mask,
                               .mapping = {}});
          for (int64_t token : {3, 65, 130}) {
            if (spoilt != 0) problem.v().Row<float>(1, 1, token)[token % 70] = spoilt;
          }
          BackendConfig config = problem.Config(AttentionAlgorithm::kOnlineSoftmax, GetParam(), threads);
          config.tiles = {.q_block = 20, .kv_block = 17};
          if (rows == 2) config.max_query_tokens = 2;
          const TokenSegment few{0, 60, 2};
          const std::span<const TokenSegment> segments =
              rows == 2 ? std::span<const TokenSegment>(&few, 1) : std::span<const TokenSegment>(queries);
          RunSteps(problem, config, segments, ring);
          const std::vector<float> expected = AllValues(problem.output());
          for (float& value : MutableValues(problem.output())) value = NAN;
          RunStepsLastTwoAsOne(problem, config, segments, ring);
          const std::vector<float> got = AllValues(problem.output());
          ASSERT_TRUE(std::ranges::equal(got, expected, IsSameToTheBit))
              << "steps " << ring.size() << " mask " << Name(mask) << " threads " << threads << " rows "
              << rows;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, OnlineStepsTest, ::testing::ValuesIn(SupportedIsas()),
                         [](const auto& info) { return std::string(Name(info.param)); });

// Few queries carry their state from step to step as well; a head's weights and keys differ, so order
// matters.
TEST_P(OnlineStepsTest, FewQueries) {
  for (int threads : {1, 2}) {
    TestProblem problem(
        {.heads = 2, .tokens = 3001, .head_dim = 40, .mask = Mask::Causal(), .mapping = {.group_size = 2}});
    const TokenSegment query{2000, 2000, 1};
    const std::vector<std::vector<TokenSegment>> ring = {
        {{2500, 2500, 501}}, {{1100, 1100, 1400}}, {{0, 0, 1100}}};
    BackendConfig config = problem.Config(AttentionAlgorithm::kOnlineSoftmax, GetParam(), threads);
    config.max_query_tokens = 1;
    RunSteps(problem, config, {&query, 1}, ring);
    for (int64_t h = 0; h < 2; ++h) {
      const std::vector<double> expected = problem.Expected(0, h, 2000);
      for (int64_t d = 0; d < 40; ++d) {
        ASSERT_NEAR(problem.output().Row<float>(0, h, 2000)[d], expected[d], 1e-6);
      }
    }
  }
}

// Merging the states of two halves of the keys gives the whole.
TEST(AttentionKernelStateTest, MergeOfPartialStates) {
  for (Isa isa : SupportedIsas()) {
    TestProblem problem(
        {.heads = 4, .kv_heads = 2, .tokens = 90, .head_dim = 64, .mask = Mask::Causal(), .mapping = {}});
    const auto kernel = MakeAttentionKernel(problem.Config(AttentionAlgorithm::kOnlineSoftmax, isa));
    AttentionStateBuffer a(1, 4, 90, 64), b(1, 4, 90, 64);
    const TokenSegment all{0, 0, 90}, early{0, 0, 41}, late{41, 41, 49};
    AttentionStep step;
    step.query = {problem.q(), {&all, 1}};
    step.last = false;
    const KeyValueShard key_values[] = {{problem.k(), problem.v(), {&early, 1}}};
    step.key_values = key_values;
    step.state = a.view();
    kernel->Accumulate(step);
    const KeyValueShard late_keys[] = {{problem.k(), problem.v(), {&late, 1}}};
    step.key_values = late_keys;
    step.state = b.view();
    kernel->Accumulate(step);
    MergeState(a.view(), b.view());
    FinishState(a.view(), problem.output());
    EXPECT_LT(problem.Compare().relative_l2, 5e-6) << Name(isa);
  }
}

}  // namespace
}  // namespace attention
