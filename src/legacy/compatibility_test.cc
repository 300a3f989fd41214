#include "src/legacy/compatibility.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "src/base/counter_random.h"

namespace attention {
namespace {

const AttentionShape kShape = {
    .batch = 2, .query_heads = 6, .kv_heads = 2, .tokens = 45, .head_dim = 32, .mask = Mask::Causal()};

std::vector<float> Values(int64_t heads, uint64_t stream) {
  std::vector<float> values(static_cast<size_t>(kShape.batch * heads * kShape.tokens * kShape.head_dim));
  FillGaussian(7, stream, 0, values);
  return values;
}

using Function = void (*)(const float*, const float*, const float*, float*, const AttentionShape&, MPI_Comm,
                          const AttentionOptions&);

std::vector<float> Result(Function function) {
  const std::vector<float> q = Values(kShape.query_heads, 0), k = Values(kShape.kv_heads, 1),
                           v = Values(kShape.kv_heads, 2);
  std::vector<float> output(q.size(), NAN);
  function(q.data(), k.data(), v.data(), output.data(), kShape, MPI_COMM_WORLD, {});
  return output;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
TEST(CompatibilityTest, OlderNamesDoWhatTheNewOnesDo) {
  EXPECT_EQ(Result(&self_attention_mpi_omp), Result(&attention_headwise_standard));
  EXPECT_EQ(Result(&self_attention_mpi_streaming_omp), Result(&attention_headwise_online_softmax));
  EXPECT_NE(MPIAttentionType::STANDARD, MPIAttentionType::STREAMING);
}
#pragma GCC diagnostic pop

}  // namespace
}  // namespace attention
