// A decoder's layer, or the attention block of one, without content: what simulated ranks run.
#ifndef SRC_SIMULATE_SIMULATED_LAYER_H_
#define SRC_SIMULATE_SIMULATED_LAYER_H_

#include <cstdint>

#include "src/base/aligned_buffer.h"
#include "src/experiment/ask/cell.h"
#include "src/mpi/communicator.h"
#include "src/parallel/contracts/distributed_attention.h"
#include "src/qwen3/decoder/decoder_step.h"
#include "src/qwen3/decoder/key_value_cache.h"
#include "src/qwen3/decoder/weights.h"
#include "src/qwen3/linear/packed_matrix.h"
#include "src/qwen3/linear/rotary.h"

namespace attention {

// As the project's DecoderStep runs it, with weights, a cache and hidden states that have sizes and no
// content; on ranks that are not simulated these are zeros, and messages are the same.
class SimulatedLayer {
 public:
  // Collective. `communicator` must outlive it. Throws Error if the combination is not valid.
  SimulatedLayer(Communicator& communicator, const Cell& cell, const Variant& variant,
                 const ExecutionOptions& options);

  // Collective: one step, of what the cell's scope and phase say.
  void Run();

  int64_t workspace_bytes() const {
    return static_cast<int64_t>(step_.workspace_bytes() + cache_.size_bytes());
  }
  TileSizes tiles() const { return step_.attention().tiles(); }

 private:
  LayerWeights Weights() const;

  Qwen3Config config_;
  Scope scope_;
  WeightShare share_;
  RotaryTable rotary_;
  DecoderStep step_;
  PackedMatrix qkv_, o_, gate_up_, down_;
  AlignedBuffer norm_;  // of a row of hidden states
  KeyValueCache cache_;
  AlignedBuffer input_, output_;  // [rows, hidden]
};

}  // namespace attention

#endif  // SRC_SIMULATE_SIMULATED_LAYER_H_
