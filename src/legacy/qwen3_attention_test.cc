// The original interface against a golden block, under every strategy and algorithm.
#include "src/legacy/qwen3_attention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "src/base/error.h"
#include "src/qwen3/checkpoint/safetensors.h"
#include "src/qwen3/linear/rotary.h"

namespace attention {
namespace {

struct Block {
  Tensor hidden, qkv, o, q_norm, k_norm, cos, sin, expected;
};

constexpr int64_t kHeads = 4, kKvHeads = 2, kHeadDim = 32;

Block Load() {
  const auto file = SafetensorsFile::Open("src/qwen3/testdata/block_causal.safetensors");
  const auto read = [&](const std::string& name) {
    const StoredTensor& stored = file->Get(name);
    Tensor tensor{stored.shape, std::vector<float>(static_cast<size_t>(stored.elements()))};
    stored.ReadFloats(0, tensor.values);
    return tensor;
  };
  const std::string attention = "model.layers.0.self_attn.";
  Block block;
  block.hidden = read("hidden_states");
  block.expected = read("expected_output");
  block.qkv = read(attention + "q_proj.weight");
  for (const char* name : {"k_proj.weight", "v_proj.weight"}) {
    const Tensor part = read(attention + name);
    block.qkv.shape[0] += part.shape[0];
    block.qkv.values.insert(block.qkv.values.end(), part.values.begin(), part.values.end());
  }
  block.o = read(attention + "o_proj.weight");
  block.q_norm = read(attention + "q_norm.weight");
  block.k_norm = read(attention + "k_norm.weight");
  const int64_t tokens = block.hidden.shape[1];
  const RotaryTable table(tokens, kHeadDim, 1e6);
  block.cos.shape = block.sin.shape = {1, tokens, kHeadDim};
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t i = 0; i < kHeadDim; ++i) {
      block.cos.values.push_back(table.cos(t)[i % table.half()]);
      block.sin.values.push_back(table.sin(t)[i % table.half()]);
    }
  }
  return block;
}

// Tolerance as in verify.h: fp32, and no logit of this file is large.
void ExpectGolden(const Block& block, const Tensor& actual) {
  ASSERT_EQ(actual.shape, block.expected.shape);
  double error = 0, norm = 0;
  for (size_t i = 0; i < actual.values.size(); ++i) {
    error += std::pow(actual.values[i] - block.expected.values[i], 2);
    norm += std::pow(block.expected.values[i], 2);
  }
  EXPECT_LE(std::sqrt(error / norm), 5e-6);
}

TEST(Qwen3AttentionTest, EveryStrategyAndAlgorithmWithBothIsas) {
  const Block b = Load();
  for (ParallelStrategy strategy : {ParallelStrategy::kHeadwise, ParallelStrategy::kSequence}) {
    for (AttentionAlgorithm algorithm : kAllAlgorithms) {
      ExpectGolden(b, qwen3_attention_mpi_omp(b.hidden, kHeads, kKvHeads, kHeadDim, b.qkv, b.o, b.q_norm,
                                              b.k_norm, b.cos, b.sin, MPI_COMM_WORLD, strategy, algorithm));
      ExpectGolden(b, qwen3_attention_mpi_avx(b.hidden, kHeads, kKvHeads, kHeadDim, b.qkv, b.o, b.q_norm,
                                              b.k_norm, b.cos, b.sin, MPI_COMM_WORLD, strategy, algorithm));
    }
  }
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
TEST(Qwen3AttentionTest, DeprecatedSpelling) {
  const Block b = Load();
  for (MPIAttentionType type : {MPIAttentionType::STANDARD, MPIAttentionType::STREAMING}) {
    ExpectGolden(b, qwen3_attention_mpi_omp(b.hidden, kHeads, kKvHeads, kHeadDim, b.qkv, b.o, b.q_norm,
                                            b.k_norm, b.cos, b.sin, MPI_COMM_WORLD, type));
  }
}
#pragma GCC diagnostic pop

TEST(Qwen3AttentionTest, ShapesThatDoNotFitAreNamed) {
  const Block b = Load();
  const auto run = [&](const Tensor& qkv, const Tensor& cos, int64_t kv_heads) {
    qwen3_attention_mpi_omp(b.hidden, kHeads, kv_heads, kHeadDim, qkv, b.o, b.q_norm, b.k_norm, cos, b.sin,
                            MPI_COMM_WORLD, ParallelStrategy::kHeadwise, AttentionAlgorithm::kStandard);
  };
  Tensor short_qkv = b.qkv, short_cos = b.cos;
  short_qkv.values.pop_back();
  short_cos.shape[1] -= 1;
  EXPECT_THROW(run(short_qkv, b.cos, kKvHeads), Error);
  EXPECT_THROW(run(b.qkv, short_cos, kKvHeads), Error);
  EXPECT_THROW(run(b.qkv, b.cos, 3), Error);
}

}  // namespace
}  // namespace attention
