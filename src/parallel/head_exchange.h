// The head-wise all-to-all (DeepSpeed-Ulysses): from "my tokens, all heads" to "all tokens of the group, my
// heads", and back with the output.
#ifndef SRC_PARALLEL_HEAD_EXCHANGE_H_
#define SRC_PARALLEL_HEAD_EXCHANGE_H_

#include <cstdint>
#include <vector>

#include "src/mpi/communicator.h"
#include "src/parallel/attention_plan.h"
#include "src/parallel/partition.h"
#include "src/parallel/tensor_buffer.h"

namespace attention {

// Blocks arrive at their final place, in global token order, so kernels see few segments whatever the
// sharding. A KV head that several ranks read is sent to each of them. Traffic per rank, elements: batch *
// head_dim * (S_r * sum over others of (their query heads + 2 * their KV heads) + own query heads * (S_group
// - S_r)).
class HeadExchange {
 public:
  // `tokens`: by rank of `communicator`, whose ranks divide the heads by plan.heads_of(rank).
  HeadExchange(const AttentionPlan& plan, const std::vector<TokenSegments>& tokens,
               const Communicator& communicator);

  // q, k, v: all heads, own tokens. After it, the views below hold own heads, the group's tokens.
  void TokensToHeads(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v);
  // output: all heads, own tokens; from output() of every rank.
  void HeadsToTokens(const TensorView& output);

  TensorView q() const { return q_.view(); }
  TensorView k() const { return key_value_.k.view(); }
  TensorView v() const { return key_value_.v.view(); }
  TensorView output() const { return output_.view(); }
  const TokenSegments& group_tokens() const { return group_tokens_; }

  int64_t comm_bytes() const;
  size_t workspace_bytes() const { return q_.size_bytes() + key_value_.size_bytes() + output_.size_bytes(); }

 private:
  // Where `segment` of some rank lies in a tensor that holds the group's tokens.
  template <typename View>
  View InGroup(const View& tensor, const TokenSegment& segment) const {
    return tensor.SliceTokens(LocalRow(group_tokens_, segment.global_begin), segment.length);
  }

  AttentionProblem problem_;
  std::vector<HeadShare> heads_;
  std::vector<TokenSegments> tokens_;
  TokenSegments group_tokens_;
  const Communicator* communicator_;
  TensorBuffer q_;
  KeyValueBuffer key_value_;
  TensorBuffer output_;
};

}  // namespace attention

#endif  // SRC_PARALLEL_HEAD_EXCHANGE_H_
