#include "src/parallel/attention_api.h"

#include "src/base/error.h"
#include "src/kernels/attention_kernel.h"
#include "src/mpi/communicator.h"
#include "src/parallel/contracts/distributed_attention.h"
#include "src/parallel/make_distributed_attention.h"
#include "src/parallel/partition/token_dealing.h"

namespace attention {
namespace {

void RunOnce(ParallelStrategy strategy, AttentionAlgorithm algorithm, const float* q, const float* k,
             const float* v, float* output, const AttentionShape& shape, MPI_Comm communicator,
             const AttentionOptions& options) {
  AttentionProblem problem;
  problem.batch = shape.batch;
  problem.query_heads = shape.query_heads;
  problem.kv_heads = shape.kv_heads;
  problem.head_dim = shape.head_dim;
  problem.query_tokens = problem.kv_tokens = shape.tokens;
  problem.mask = shape.mask;
  Variant variant;
  variant.strategy = strategy;
  variant.algorithm = algorithm;
  variant.exchange = DefaultExchange(strategy, algorithm, Contract::kNative, Phase::kPrefill);
  if (strategy == ParallelStrategy::kSequence) variant.sharding = options.sharding;

  Communicator ranks(communicator);
  const std::unique_ptr<DistributedAttention> attention = MakeDistributedAttention(
      ranks, problem, variant, Contract::kNative,
      {options.isa.value_or(BestIsa()), options.threads, &MakeAttentionKernel, /*poll_progress=*/true});
  const auto shape_of = [&](const TensorShard& shard) {
    return TensorShape{shape.batch, shard.head_count, shard.local_tokens(), shape.head_dim};
  };
  attention->Run(HeadMajorView(q, DataType::kFloat32, shape_of(attention->query_shard())),
                 HeadMajorView(k, DataType::kFloat32, shape_of(attention->key_value_shard())),
                 HeadMajorView(v, DataType::kFloat32, shape_of(attention->key_value_shard())),
                 HeadMajorView(output, DataType::kFloat32, shape_of(attention->output_shard())));
}

}  // namespace

void attention_headwise_standard(const float* q, const float* k, const float* v, float* output,
                                 const AttentionShape& shape, MPI_Comm communicator,
                                 const AttentionOptions& options) {
  RunOnce(ParallelStrategy::kHeadwise, AttentionAlgorithm::kStandard, q, k, v, output, shape, communicator,
          options);
}

void attention_headwise_online_softmax(const float* q, const float* k, const float* v, float* output,
                                       const AttentionShape& shape, MPI_Comm communicator,
                                       const AttentionOptions& options) {
  RunOnce(ParallelStrategy::kHeadwise, AttentionAlgorithm::kOnlineSoftmax, q, k, v, output, shape,
          communicator, options);
}

void attention_sequence_standard(const float* q, const float* k, const float* v, float* output,
                                 const AttentionShape& shape, MPI_Comm communicator,
                                 const AttentionOptions& options) {
  RunOnce(ParallelStrategy::kSequence, AttentionAlgorithm::kStandard, q, k, v, output, shape, communicator,
          options);
}

void attention_sequence_online_softmax(const float* q, const float* k, const float* v, float* output,
                                       const AttentionShape& shape, MPI_Comm communicator,
                                       const AttentionOptions& options) {
  RunOnce(ParallelStrategy::kSequence, AttentionAlgorithm::kOnlineSoftmax, q, k, v, output, shape,
          communicator, options);
}

std::vector<int64_t> attention_tokens_of_rank(int64_t tokens, int ranks, int rank, Sharding sharding,
                                              const Mask& mask) {
  Require(ranks >= 1 && rank >= 0 && rank < ranks, "tokens of rank ", rank, " of ", ranks);
  const std::string wrong_mask = mask.WhyInvalid(tokens);
  Require(wrong_mask.empty(), wrong_mask);
  std::vector<int64_t> positions;
  const std::vector<TokenSegments> shares = DealTokens(mask, tokens, sharding, ranks);
  for (const TokenSegment& segment : shares[static_cast<size_t>(rank)]) {
    for (int64_t i = 0; i < segment.length; ++i) positions.push_back(segment.global_begin + i);
  }
  return positions;
}

}  // namespace attention
