// What a case runs: inputs, buffers and weights, ready to be timed. One implementation per kind of scope.
#ifndef SRC_EXPERIMENT_WORKLOAD_WORKLOAD_H_
#define SRC_EXPERIMENT_WORKLOAD_WORKLOAD_H_

#include <cstdint>
#include <memory>

#include "src/attention/attention_backend.h"
#include "src/base/tensor_view.h"
#include "src/experiment/plan/plan.h"
#include "src/mpi/communicator.h"
#include "src/parallel/contracts/distributed_attention.h"

namespace attention {

class Workload {
 public:
  virtual ~Workload() = default;

  // Collective, as everything timed.
  virtual void Run() = 0;
  // Whether the parts below can run alone. If not, waiting for messages is measured inside Run().
  virtual bool has_parts() const { return false; }
  virtual void RunExchangeOnly() {}
  virtual void RunComputeOnly() {}

  // NaN everywhere, so that a row nobody writes is seen.
  virtual void PoisonOutput() = 0;
  // Collective. The result of the last Run(): rows and heads of `output_shard`; scopes other than attention
  // have one head, whose head_dim is the width of a row.
  virtual ConstTensorView output() = 0;
  virtual const TensorShard& output_shard() const = 0;

  // Bytes this rank sends to others in one Run().
  virtual int64_t comm_bytes() const = 0;
  virtual int64_t workspace_bytes() const = 0;
  // What a run reads: inputs, weights.
  virtual int64_t input_bytes() const = 0;
  virtual TileSizes tiles() const = 0;
};

// Scope: attention. Inputs lie where the contract wants them, made by the counter-based generator. Collective
// over `communicator`, which must outlive the result. Throws the same Error on every rank.
std::unique_ptr<Workload> MakeAttentionWorkload(Communicator& communicator, const Cell& cell,
                                                const Case& made, BackendFactory backend);

}  // namespace attention

#endif  // SRC_EXPERIMENT_WORKLOAD_WORKLOAD_H_
