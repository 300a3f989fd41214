// A step after the other over the keys, as a ring brings them: the state carries over.
#include <algorithm>
#include <bit>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "src/attention/attention_state.h"
#include "src/kernels/attention_kernel.h"
#include "src/kernels/testing/kernel_test_support.h"

namespace attention {
namespace {

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
