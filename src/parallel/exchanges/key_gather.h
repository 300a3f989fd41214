// Keys and values of other ranks, brought together at one place.
#ifndef SRC_PARALLEL_EXCHANGES_KEY_GATHER_H_
#define SRC_PARALLEL_EXCHANGES_KEY_GATHER_H_

#include <cstdint>
#include <vector>

#include "src/attention/attention_types.h"
#include "src/mpi/request_set.h"
#include "src/parallel/exchanges/tensor_buffer.h"
#include "src/parallel/partition/attention_plan.h"
#include "src/parallel/partition/partition.h"

namespace attention {

// Among some ranks of a communicator. Blocks arrive at their final place, in global token order, so kernels
// see few segments of keys.
class KeyGather {
 public:
  struct Travel {
    std::vector<int> ranks;  // ascending
    std::vector<TokenSegments> from,
        to;                  // of each of them: what it sends here and is sent from here; own: nothing
    int own_place = 0;       // of this rank among them
    TokenSegments own_keys;  // of this rank, as rows of the keys that it is given
    bool with_own = false;   // they are copied in between the others'
  };
  KeyGather(const AttentionProblem& problem, int64_t kv_heads, Travel travel);

  // Starts what arrives and what leaves; own keys are copied at once, if they are.
  void Start(const ConstTensorView& k, const ConstTensorView& v, RequestSet& arriving, RequestSet& leaving);

  // All of it, once `arriving` is done. Valid as long as this.
  KeyValueShard gathered() const { return {buffer_.k.view(), buffer_.v.view(), tokens_}; }
  const TokenSegments& tokens() const { return tokens_; }
  size_t size_bytes() const { return buffer_.size_bytes(); }

 private:
  TensorView Place(const TensorView& tensor, const TokenSegment& segment) const {
    return tensor.SliceTokens(LocalRow(tokens_, segment.global_begin), segment.length);
  }

  Travel travel_;
  TokenSegments tokens_;
  KeyValueBuffer buffer_;
};

}  // namespace attention

#endif  // SRC_PARALLEL_EXCHANGES_KEY_GATHER_H_
