// Every algorithm on every ISA against float64, over shapes that divide nothing.
#include "src/kernels/attention_kernel.h"

#include <cmath>
#include <span>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "src/base/error.h"
#include "src/kernels/testing/kernel_fixture.h"

namespace attention {
namespace {

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
  TestProblem problem({.heads = 2, .tokens = 10, .head_dim = 16, .mask = {}, .mapping = {}});
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

INSTANTIATE_TEST_SUITE_P(All, AttentionKernelTest, EveryKernel(), KernelName);

}  // namespace
}  // namespace attention
