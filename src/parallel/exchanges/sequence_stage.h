// The sequence-parallel stage: ranks of one communicator own tokens, and each needs its queries' attention
// over all tokens. Ring, gathered, or merged; any heads, so that it serves alone (all heads) and inside a 2-D
// grid.
#ifndef SRC_PARALLEL_EXCHANGES_SEQUENCE_STAGE_H_
#define SRC_PARALLEL_EXCHANGES_SEQUENCE_STAGE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "src/mpi/communicator.h"
#include "src/parallel/exchanges/kernel_runner.h"
#include "src/parallel/partition/attention_plan.h"
#include "src/parallel/partition/partition.h"

namespace attention {

// What the stage works on: prefill, each rank's queries being its tokens.
struct SequenceLayout {
  HeadShare heads;                    // of this rank; the same on all ranks of the communicator
  std::vector<TokenSegments> tokens;  // by rank of the communicator
  int rank = 0;                       // in the communicator

  int size() const { return static_cast<int>(tokens.size()); }
  const TokenSegments& own() const { return tokens[static_cast<size_t>(rank)]; }
  int64_t TokensOf(int r) const { return TokenCount(tokens[static_cast<size_t>(r)]); }
  int64_t total_tokens() const;
  int64_t max_tokens() const;
};

class SequenceStage {
 public:
  virtual ~SequenceStage() = default;
  // q, output: [batch, query heads, own tokens, head_dim]; k, v likewise with KV heads; any strides.
  virtual void Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                   const TensorView& output, RunParts parts) = 0;
  // Bytes this rank sends in one Run, by formula.
  virtual int64_t comm_bytes() const = 0;
  virtual size_t workspace_bytes() const = 0;
  virtual TileSizes tiles() const = 0;
};

}  // namespace attention

#endif  // SRC_PARALLEL_EXCHANGES_SEQUENCE_STAGE_H_
