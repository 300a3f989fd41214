// The sequence-parallel stage: ranks of one communicator own tokens, and each needs its queries' attention
// over all tokens. Ring, gathered, merged, or in tiles; any heads, so that it serves alone (all heads) and
// inside a 2-D grid.
#ifndef SRC_PARALLEL_EXCHANGES_SEQUENCE_STAGE_H_
#define SRC_PARALLEL_EXCHANGES_SEQUENCE_STAGE_H_

#include <cstdint>
#include <optional>

#include "src/base/tensor_view.h"
#include "src/parallel/exchanges/kernel_runner.h"
#include "src/parallel/partition/sequence_layout.h"

namespace attention {

// Where an exchange reads a rank's keys and values in place: [batch, KV heads, own tokens, head_dim].
struct KeyValueStorage {
  TensorView k;
  TensorView v;
};

class SequenceStage {
 public:
  virtual ~SequenceStage() = default;
  // Who leaves own keys and values here and gives these views to Run() spares their copy; none where they
  // move from wherever they are. Valid as long as the stage; not to be written while a rank is in Run().
  virtual std::optional<KeyValueStorage> key_value_storage() const { return std::nullopt; }
  // q, output: [batch, query heads, own tokens, head_dim]; k, v likewise with KV heads; any strides.
  virtual void Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                   const TensorView& output, RunParts parts) = 0;
  virtual size_t workspace_bytes() const = 0;
  virtual TileSizes tiles() const = 0;
};

}  // namespace attention

#endif  // SRC_PARALLEL_EXCHANGES_SEQUENCE_STAGE_H_
