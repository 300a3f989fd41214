#include "src/parallel/attention_run.h"

#include "src/mpi/agreement.h"
#include "src/parallel/make_distributed_attention.h"

namespace attention {

AttentionRun::AttentionRun(Communicator& communicator, const AttentionProblem& problem,
                           const Variant& variant, Contract contract, const ExecutionOptions& options)
    : attention_(MakeDistributedAttention(communicator, problem, variant, contract, options)) {
  AgreeOnErrors(communicator, [&] {
    const auto queries = attention_->query_storage();
    q_ = queries ? *queries : Allocate(q_buffer_, attention_->query_shard(), problem.data_type);
    if (const auto storage = attention_->key_value_storage()) {
      k_ = storage->k;
      v_ = storage->v;
    } else {
      k_ = Allocate(k_buffer_, attention_->key_value_shard(), problem.data_type);
      v_ = Allocate(v_buffer_, attention_->key_value_shard(), problem.data_type);
    }
    const auto output = attention_->output_storage();
    output_ = output ? *output : Allocate(output_buffer_, attention_->output_shard(), DataType::kFloat32);
  });
}

TensorView AttentionRun::Allocate(AlignedBuffer& buffer, const TensorShard& shard, DataType type) const {
  const TensorShape shape = QueryShape(attention_->plan().problem, shard.head_count, shard.local_tokens());
  buffer = AlignedBuffer(static_cast<size_t>(StorageBytes(type, shape)));
  return HeadMajorView(buffer.data(), type, shape);
}

}  // namespace attention
