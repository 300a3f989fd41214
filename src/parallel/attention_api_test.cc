#include "src/parallel/attention_api.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "src/attention/reference_attention.h"
#include "src/base/counter_random.h"
#include "src/base/error.h"

namespace attention {
namespace {

const AttentionShape kShape = {
    .batch = 2, .query_heads = 6, .kv_heads = 2, .tokens = 45, .head_dim = 32, .mask = Mask::Causal()};

std::vector<float> Values(int64_t heads, uint64_t stream) {
  std::vector<float> values(static_cast<size_t>(kShape.batch * heads * kShape.tokens * kShape.head_dim));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(RandomGaussian(3, stream, i));
  return values;
}

// Rows of the given tokens from a whole tensor.
template <typename T>
std::vector<T> Rows(const std::vector<T>& whole, int64_t heads, const std::vector<int64_t>& tokens) {
  std::vector<T> rows;
  for (int64_t bh = 0; bh < kShape.batch * heads; ++bh) {
    for (int64_t token : tokens) {
      const auto begin = whole.begin() + (bh * kShape.tokens + token) * kShape.head_dim;
      rows.insert(rows.end(), begin, begin + kShape.head_dim);
    }
  }
  return rows;
}

class AttentionApiTest : public testing::Test {
 protected:
  AttentionApiTest()
      : q_(Values(kShape.query_heads, 0)), k_(Values(kShape.kv_heads, 1)), v_(Values(kShape.kv_heads, 2)) {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks_);
    const auto view = [](const std::vector<float>& values, int64_t heads) {
      return HeadMajorView(static_cast<const void*>(values.data()), DataType::kFloat32,
                           {kShape.batch, heads, kShape.tokens, kShape.head_dim});
    };
    expected_ = ReferenceAttention(view(q_, kShape.query_heads), view(k_, kShape.kv_heads),
                                   view(v_, kShape.kv_heads), kShape.mask);
  }

  // float32 rounding at these sizes is below 2e-6 of values of order 1; a wrong key or row is above 1e-2.
  static void ExpectNear(const std::vector<float>& actual, const std::vector<double>& expected) {
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], expected[i], 5e-6) << "element " << i;
  }

  using Function = void (*)(const float*, const float*, const float*, float*, const AttentionShape&, MPI_Comm,
                            const AttentionOptions&);

  void CheckHeadwise(Function function) {
    std::vector<float> output(q_.size(), NAN);
    function(q_.data(), k_.data(), v_.data(), output.data(), kShape, MPI_COMM_WORLD, {});
    ExpectNear(output, expected_);
  }

  void CheckSequence(Function function, Sharding sharding) {
    const std::vector<int64_t> tokens =
        attention_tokens_of_rank(kShape.tokens, ranks_, rank_, sharding, kShape.mask);
    const std::vector<float> q = Rows(q_, kShape.query_heads, tokens), k = Rows(k_, kShape.kv_heads, tokens),
                             v = Rows(v_, kShape.kv_heads, tokens);
    std::vector<float> output(q.size(), NAN);
    AttentionOptions options;
    options.sharding = sharding;
    function(q.data(), k.data(), v.data(), output.data(), kShape, MPI_COMM_WORLD, options);
    ExpectNear(output, Rows(expected_, kShape.query_heads, tokens));
  }

  int rank_ = 0, ranks_ = 1;
  std::vector<float> q_, k_, v_;
  std::vector<double> expected_;
};

TEST_F(AttentionApiTest, HeadwiseStandard) { CheckHeadwise(&attention_headwise_standard); }
TEST_F(AttentionApiTest, HeadwiseOnlineSoftmax) { CheckHeadwise(&attention_headwise_online_softmax); }
TEST_F(AttentionApiTest, SequenceStandard) {
  CheckSequence(&attention_sequence_standard, Sharding::kContiguous);
  CheckSequence(&attention_sequence_standard, Sharding::kZigzag);
  CheckSequence(&attention_sequence_standard, Sharding::kBalanced);
}
TEST_F(AttentionApiTest, SequenceOnlineSoftmax) {
  CheckSequence(&attention_sequence_online_softmax, Sharding::kContiguous);
  CheckSequence(&attention_sequence_online_softmax, Sharding::kZigzag);
  CheckSequence(&attention_sequence_online_softmax, Sharding::kBalanced);
}

TEST_F(AttentionApiTest, BadShapeIsAnErrorOnEveryRank) {
  AttentionShape bad = kShape;
  bad.kv_heads = 4;
  EXPECT_THROW(attention_headwise_standard(q_.data(), k_.data(), v_.data(), nullptr, bad, MPI_COMM_WORLD),
               Error);
}

}  // namespace
}  // namespace attention
