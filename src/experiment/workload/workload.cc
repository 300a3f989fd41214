#include "src/experiment/workload/workload.h"

#include <algorithm>
#include <limits>

#include "src/base/aligned_buffer.h"
#include "src/experiment/workload/input_data.h"
#include "src/mpi/agreement.h"
#include "src/parallel/make_distributed_attention.h"

namespace attention {
namespace {

// Local storage of a shard, head-major.
TensorView Allocate(AlignedBuffer& buffer, const AttentionProblem& problem, const TensorShard& shard,
                    DataType type) {
  const TensorShape shape{problem.batch, shard.head_count, shard.local_tokens(), problem.head_dim};
  const int64_t rows =
      CheckedProduct(CheckedProduct(shape.batch, shape.heads, "shard"), shape.tokens, "shard");
  const int64_t row_bytes = shape.head_dim * static_cast<int64_t>(SizeOf(type));
  buffer = AlignedBuffer(static_cast<size_t>(CheckedProduct(rows, row_bytes, "shard bytes")));
  return HeadMajorView(buffer.data(), type, shape);
}

class AttentionWorkload : public Workload {
 public:
  AttentionWorkload(Communicator& communicator, const Cell& cell, const Case& made, BackendFactory backend);

  void Run() override { attention_->Run(q_, k_, v_, output_); }
  bool has_parts() const override { return true; }
  void RunExchangeOnly() override { attention_->RunExchangeOnly(q_, k_, v_, output_); }
  void RunComputeOnly() override { attention_->RunComputeOnly(q_, k_, v_, output_); }

  void PoisonOutput() override {
    // Dense, wherever it is.
    std::fill_n(output_.Row<float>(0, 0, 0), output_.shape.elements(),
                std::numeric_limits<float>::quiet_NaN());
  }
  ConstTensorView output() override { return output_; }
  const TensorShard& output_shard() const override { return attention_->output_shard(); }

  int64_t comm_bytes() const override { return attention_->comm_bytes_formula(); }
  int64_t workspace_bytes() const override { return static_cast<int64_t>(attention_->workspace_bytes()); }
  int64_t input_bytes() const override {
    int64_t bytes = 0;
    for (const TensorView& input : {q_, k_, v_}) {
      bytes += input.shape.elements() * static_cast<int64_t>(SizeOf(input.data_type));
    }
    return bytes;
  }
  TileSizes tiles() const override { return attention_->tiles(); }

 private:
  std::unique_ptr<DistributedAttention> attention_;
  AlignedBuffer q_buffer_, k_buffer_, v_buffer_, output_buffer_;
  TensorView q_, k_, v_, output_;
};

AttentionWorkload::AttentionWorkload(Communicator& communicator, const Cell& cell, const Case& made,
                                     BackendFactory backend) {
  ExecutionOptions options;
  options.isa = cell.isa;
  options.threads = cell.threads;
  options.backend = backend;
  attention_ = MakeDistributedAttention(communicator, cell.problem, made.variant, cell.contract, options);
  AgreeOnErrors(communicator, [&] {
    const TensorShard& query = attention_->query_shard();
    const TensorShard& keys = attention_->key_value_shard();
    q_ = Allocate(q_buffer_, cell.problem, query, cell.problem.data_type);
    if (const auto storage = attention_->key_value_storage()) {
      k_ = storage->k;
      v_ = storage->v;
    } else {
      k_ = Allocate(k_buffer_, cell.problem, keys, cell.problem.data_type);
      v_ = Allocate(v_buffer_, cell.problem, keys, cell.problem.data_type);
    }
    const auto output = attention_->output_storage();
    output_ = output ? *output
                     : Allocate(output_buffer_, cell.problem, attention_->output_shard(), DataType::kFloat32);
    const InputData data(cell.problem, cell.data, cell.seed);
    data.FillQuery(q_, 0, query.head_begin, query.segments);
    data.FillKey(k_, 0, keys.head_begin, keys.segments);
    data.FillValue(v_, 0, keys.head_begin, keys.segments);
  });
}

}  // namespace

std::unique_ptr<Workload> MakeAttentionWorkload(Communicator& communicator, const Cell& cell,
                                                const Case& made, BackendFactory backend) {
  return std::make_unique<AttentionWorkload>(communicator, cell, made, backend);
}

}  // namespace attention
