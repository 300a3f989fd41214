// Q, K and V of an experiment, made shard by shard: an element depends only on the seed, the data kind and
// its global index, so every strategy, rank count and the float64 reference see the same numbers.
#ifndef SRC_EXPERIMENT_WORKLOAD_INPUT_DATA_H_
#define SRC_EXPERIMENT_WORKLOAD_INPUT_DATA_H_

#include <cstdint>
#include <span>

#include "src/attention/attention_types.h"
#include "src/base/tensor_view.h"
#include "src/experiment/plan/plan.h"

namespace attention {

// gaussian: every element of Q, K, V standard normal, so that logits are too.
// peaked: K and V as above; each query row leans on one key so far that its softmax is near one-hot: even
//   positions on key 0 (an attention sink), odd ones on a random key it may see.
class InputData {
 public:
  InputData(const AttentionProblem& problem, InputDataKind kind, uint64_t seed);

  // view: [batch, heads, local tokens, head_dim] of fp32 or bf16 (rounded to nearest); its
  // entry 0 is global batch entry `batch_begin`, its head 0 global head `head_begin`, its rows are the tokens
  // of `segments`.
  void FillQuery(const TensorView& view, int64_t batch_begin, int64_t head_begin,
                 std::span<const TokenSegment> segments) const;
  void FillKey(const TensorView& view, int64_t batch_begin, int64_t head_begin,
               std::span<const TokenSegment> segments) const;
  void FillValue(const TensorView& view, int64_t batch_begin, int64_t head_begin,
                 std::span<const TokenSegment> segments) const;

 private:
  void Fill(const TensorView& view, int64_t batch_begin, int64_t head_begin,
            std::span<const TokenSegment> segments, int tensor) const;
  void KeyOrValueRow(int tensor, int64_t b, int64_t head, int64_t token, std::span<float> row) const;
  void QueryRow(int64_t b, int64_t head, int64_t token, std::span<float> row) const;

  AttentionProblem problem_;
  InputDataKind kind_;
  uint64_t seed_;
};

}  // namespace attention

#endif  // SRC_EXPERIMENT_WORKLOAD_INPUT_DATA_H_
