// What a decoder does to rows between its matrix products: norms, rotation, what goes into the K/V cache,
// gates. In a simulation (src/simulate/row_work.cc) rows have no content, and each of these takes its time.
#ifndef SRC_QWEN3_DECODER_ROW_WORK_H_
#define SRC_QWEN3_DECODER_ROW_WORK_H_

#include <cstdint>
#include <span>

#include "src/base/data_type.h"
#include "src/base/tensor_view.h"
#include "src/parallel/partition/partition.h"
#include "src/qwen3/checkpoint/config.h"
#include "src/qwen3/decoder/key_value_cache.h"
#include "src/qwen3/decoder/weights.h"
#include "src/qwen3/linear/linear.h"
#include "src/qwen3/linear/rotary.h"
#include "src/qwen3/linear/row_kernels.h"
#include "src/simd/isa.h"

namespace attention {

// Projections of a rank's tokens: [batch, tokens, width], a row being its query heads, then its key heads,
// then its value heads.
struct ProjectedRows {
  float* data = nullptr;
  int64_t batch = 0;
  const TokenSegments* tokens = nullptr;  // of the whole sequence, in the order of the rows
  int64_t query_heads = 0, kv_heads = 0, width = 0;
  // [rows, query heads, head_dim], where queries go rounded; or null, and they stay as they are.
  Bfloat16* rounded_queries = nullptr;

  int64_t rows() const { return batch * TokenCount(*tokens); }
};

// Where keys and values go: rows [begin, begin + tokens) of the cache's, which is of any type.
struct KeptTokens {
  KeyValueCache* cache = nullptr;  // null: this rank keeps none of this step
  // Of an int8 cache that is read at once: the same rows of it get what the rounded ones stand for. Or null.
  KeyValueCache* widened = nullptr;
  int64_t begin = 0;
};

class RowWork {
 public:
  // The table must outlive it. Throws Error if this CPU does not run the ISA.
  RowWork(const Qwen3Config& config, Isa isa, int threads, const RotaryTable& rotary);

  // y = RMSNorm of rows of x as wide as the weight. y may be x.
  void Norm(const float* x, std::span<const float> weight, int64_t rows, float* y) const;
  // Rows of x += bias, which may be empty.
  void AddBias(std::span<const float> bias, int64_t rows, float* x) const;
  // Query and key heads of every row: RMSNorm, then rotation by the token's position. Keys and values are
  // kept.
  void NormAndRotate(const AttentionWeights& weights, const ProjectedRows& projected,
                     const KeptTokens& kept) const;
  // SwiGLU of rows of `groups` groups of gates and ups (weights.h).
  void Activate(const Rows& gate_up, int64_t groups, const Rows& activated) const;

 private:
  void KeepKeysAndValues(const AttentionWeights& weights, const ProjectedRows& projected,
                         const KeptTokens& kept, int64_t row) const;
  // One head's key or value of a token, rounded, into its row of the cache, and what that stands for into the
  // same row of `widened`, which is empty if the cache is read as it is.
  void KeepRow(std::span<const float> from, const TensorView& cache, const TensorView& widened, int64_t batch,
               int64_t head, int64_t token) const;

  const RowKernels* row_kernels_;
  const RotaryTable* rotary_;
  int64_t head_dim_;
  float epsilon_;
  int threads_;
};

}  // namespace attention

#endif  // SRC_QWEN3_DECODER_ROW_WORK_H_
