#include "src/experiment/workload/workload.h"

#include <algorithm>
#include <limits>

#include "src/base/tensor_rows.h"
#include "src/experiment/workload/input_data.h"
#include "src/mpi/agreement.h"
#include "src/parallel/attention_run.h"

namespace attention {
namespace {

ExecutionOptions OptionsOf(const Cell& cell, BackendFactory backend) {
  ExecutionOptions options;
  options.isa = cell.isa;
  options.threads = cell.threads;
  options.backend = backend;
  return options;
}

class AttentionWorkload : public Workload {
 public:
  AttentionWorkload(Communicator& communicator, const Cell& cell, const Case& made, BackendFactory backend);

  void Run() override { run_.Run(); }
  bool has_parts() const override { return true; }
  void RunExchangeOnly() override { run_.RunExchangeOnly(); }
  void RunComputeOnly() override { run_.RunComputeOnly(); }

  void PoisonOutput() override {
    // It may be a part of a tensor that other ranks have parts of.
    ForEachRow(run_.output(),
               [](std::span<float> row) { std::ranges::fill(row, std::numeric_limits<float>::quiet_NaN()); });
  }
  ConstTensorView output() override { return run_.output(); }
  const TensorShard& output_shard() const override { return run_.attention().output_shard(); }

  int64_t comm_bytes() const override { return run_.attention().comm_bytes_formula(); }
  int64_t workspace_bytes() const override {
    return static_cast<int64_t>(run_.attention().workspace_bytes());
  }
  int64_t input_bytes() const override {
    int64_t bytes = 0;
    for (const TensorView& input : {run_.q(), run_.k(), run_.v()}) {
      bytes += input.shape.elements() * static_cast<int64_t>(SizeOf(input.data_type));
    }
    return bytes;
  }
  TileSizes tiles() const override { return run_.attention().tiles(); }

 private:
  AttentionRun run_;
};

AttentionWorkload::AttentionWorkload(Communicator& communicator, const Cell& cell, const Case& made,
                                     BackendFactory backend)
    : run_(communicator, cell.problem, made.variant, cell.contract, OptionsOf(cell, backend)) {
  AgreeOnErrors(communicator, [&] {
    const TensorShard& query = run_.attention().query_shard();
    const TensorShard& keys = run_.attention().key_value_shard();
    const InputData data(cell.problem, cell.data, cell.seed);
    data.FillQuery(run_.q(), 0, query.head_begin, query.segments);
    data.FillKey(run_.k(), 0, keys.head_begin, keys.segments);
    data.FillValue(run_.v(), 0, keys.head_begin, keys.segments);
  });
}

}  // namespace

std::unique_ptr<Workload> MakeAttentionWorkload(Communicator& communicator, const Cell& cell,
                                                const Case& made, BackendFactory backend) {
  return std::make_unique<AttentionWorkload>(communicator, cell, made, backend);
}

}  // namespace attention
