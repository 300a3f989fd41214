// Decode over a cache: one object while it grows, and the ways in which partial states come together.
#include <gtest/gtest.h>
#include <mpi.h>

#include <memory>
#include <vector>

#include "src/attention/reference_backend.h"
#include "src/base/counter_random.h"
#include "src/base/error.h"
#include "src/kernels/attention_kernel.h"
#include "src/parallel/make_distributed_attention.h"

namespace attention {
namespace {

constexpr int64_t kBatch = 2, kQueryHeads = 6, kKvHeads = 2, kHeadDim = 32;

AttentionProblem Problem(Phase phase, int64_t tokens) {
  AttentionProblem problem;
  problem.batch = kBatch;
  problem.query_heads = kQueryHeads;
  problem.kv_heads = kKvHeads;
  problem.head_dim = kHeadDim;
  problem.query_tokens = phase == Phase::kPrefill ? tokens : 1;
  problem.kv_tokens = tokens;
  problem.mask = Mask::Causal();
  problem.phase = phase;
  return problem;
}

Variant VariantOf(ParallelStrategy strategy, Exchange exchange) {
  return {strategy, exchange, Sharding::kContiguous, AttentionAlgorithm::kOnlineSoftmax, {}, {}};
}
Variant Merged() { return VariantOf(ParallelStrategy::kSequence, Exchange::kMerge); }
Variant Tree() { return VariantOf(ParallelStrategy::kSequence, Exchange::kTree); }
Variant Scattered() { return VariantOf(ParallelStrategy::kSequence, Exchange::kAllToAll); }

// The output on made inputs: every value is a function of its place in a rank's tensor.
std::vector<float> OutputOf(DistributedAttention& attention) {
  std::vector<std::vector<float>> tensors;
  std::vector<TensorView> views;
  for (const TensorShard* shard : {&attention.query_shard(), &attention.key_value_shard(),
                                   &attention.key_value_shard(), &attention.output_shard()}) {
    const TensorShape shape{kBatch, shard->head_count, shard->local_tokens(), kHeadDim};
    tensors.emplace_back(static_cast<size_t>(shape.elements()));
    // Queries are the same on every rank, keys and values are its own.
    const bool is_own = shard == &attention.key_value_shard();
    FillGaussian(7, tensors.size() + (is_own ? 10 * static_cast<size_t>(attention.plan().rank) : 0), 0,
                 tensors.back());
    views.push_back(HeadMajorView(tensors.back().data(), DataType::kFloat32, shape));
  }
  attention.Run(views[0], views[1], views[2], views[3]);
  return tensors.back();
}

// One object for every length of a growing cache is the same as one for each.
TEST(DecodeTest, AGrowingCacheGivesTheBitsOfAFreshOne) {
  Communicator world(MPI_COMM_WORLD);
  constexpr int64_t kMostKeys = 40;
  const Variant headwise = VariantOf(ParallelStrategy::kHeadwise, Exchange::kNone);
  for (const Variant& variant : {headwise, Merged(), Tree(), Scattered()}) {
    const auto make = [&](int64_t keys) {
      return MakeDistributedAttention(world, Problem(Phase::kDecode, keys), variant, Contract::kNative,
                                      {SupportedIsas().back(), 1, &MakeAttentionKernel, true});
    };
    const std::unique_ptr<DistributedAttention> growing = make(kMostKeys);
    for (int64_t keys : {1, 2, 17, 39, 40}) {
      growing->SetKvTokens(keys);
      const std::unique_ptr<DistributedAttention> fresh = make(keys);
      EXPECT_EQ(growing->query_shard().segments.front().global_begin, keys - 1);
      EXPECT_EQ(growing->key_value_shard().local_tokens(), fresh->key_value_shard().local_tokens());
      EXPECT_EQ(OutputOf(*growing), OutputOf(*fresh)) << Name(variant) << " keys " << keys;
    }
    EXPECT_THROW(growing->SetKvTokens(kMostKeys + 1), Error);
    EXPECT_THROW(growing->SetKvTokens(0), Error);
  }
  const auto prefill =
      MakeDistributedAttention(world, Problem(Phase::kPrefill, 8), headwise, Contract::kNative,
                               {Isa::kScalar, 1, &MakeReferenceBackend, true});
  EXPECT_THROW(prefill->SetKvTokens(8), Error);
}

// Every pair of a tree merges the same two states in the same order.
TEST(DecodeTest, ATreeGivesEveryRankTheSameBits) {
  Communicator world(MPI_COMM_WORLD);
  for (int64_t keys : {1, 5, 40}) {
    const auto attention =
        MakeDistributedAttention(world, Problem(Phase::kDecode, keys), Tree(), Contract::kNative,
                                 {SupportedIsas().back(), 1, &MakeAttentionKernel, true});
    const std::vector<float> output = OutputOf(*attention);
    std::vector<float> first = output;
    MPI_Bcast(first.data(), static_cast<int>(first.size()), MPI_FLOAT, 0, world.handle());
    EXPECT_EQ(output, first) << keys;
  }
}

// Whoever merges a head merges the same states in the same order.
TEST(DecodeTest, ScatteredStatesGiveTheBitsOfMergedOnes) {
  Communicator world(MPI_COMM_WORLD);
  for (int64_t keys : {1, 5, 40}) {
    const auto make = [&](const Variant& variant) {
      return MakeDistributedAttention(world, Problem(Phase::kDecode, keys), variant, Contract::kNative,
                                      {SupportedIsas().back(), 1, &MakeAttentionKernel, true});
    };
    const std::unique_ptr<DistributedAttention> merged = make(Merged()), scattered = make(Scattered());
    const TensorShard& shard = scattered->output_shard();
    const std::vector<float> whole = OutputOf(*merged), part = OutputOf(*scattered);
    // No assertion that ends one rank's test alone: the others would wait for it.
    std::vector<float> expected;
    for (int64_t b = 0; b < kBatch; ++b) {
      const auto first = whole.begin() + (b * kQueryHeads + shard.head_begin) * kHeadDim;
      expected.insert(expected.end(), first, first + shard.head_count * kHeadDim);
    }
    EXPECT_EQ(part, expected) << keys << " keys";
    // Of the states of all heads, those that others merge leave, once.
    const int64_t state = kBatch * (kHeadDim + 2) * int64_t{sizeof(float)};
    EXPECT_EQ(scattered->comm_bytes_formula(), (kQueryHeads - shard.head_count) * state);
    EXPECT_EQ(merged->comm_bytes_formula(), kQueryHeads * (world.size() - 1) * state);
  }
}

}  // namespace
}  // namespace attention
