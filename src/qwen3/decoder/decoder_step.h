// One step of a Qwen3 decoder over ranks: attention block, MLP, layer; prefill or one decoded token.
//
//   x -> qkv -> norm, rotate -> K/V cache -> attention over ranks -> o -> + -> RMSNorm -> SwiGLU MLP -> +
//
// The strategies differ in who owns what, not in the code of a layer:
//   headwise         hidden states on every rank, all tokens; the rank's heads and intermediate values
//                    (Megatron: column-parallel qkv and gate/up, row-parallel o and down, one sum after each)
//   sequence, prefill  hidden states of the rank's tokens; all weights; only K/V or partial results travel
//   sequence, decode   hidden states of the one token on every rank; K/V cache sharded by tokens; projections
//                    and MLP tensor-parallel on slices of the whole weights, one sum after each
#ifndef SRC_QWEN3_DECODER_DECODER_STEP_H_
#define SRC_QWEN3_DECODER_DECODER_STEP_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "src/base/aligned_buffer.h"
#include "src/mpi/communicator.h"
#include "src/parallel/contracts/distributed_attention.h"
#include "src/parallel/partition/partition.h"
#include "src/qwen3/checkpoint/config.h"
#include "src/qwen3/checkpoint/layer_type.h"
#include "src/qwen3/decoder/key_value_cache.h"
#include "src/qwen3/decoder/precision.h"
#include "src/qwen3/decoder/rank_collectives.h"
#include "src/qwen3/decoder/row_work.h"
#include "src/qwen3/decoder/weights.h"
#include "src/qwen3/linear/linear.h"
#include "src/qwen3/linear/rotary.h"

namespace attention {

// The query rows are the last `query_tokens` of `kv_tokens`. Prefill: all of them. Decode: one (headwise: any
// number, from int8 up to kMostInt8Columns of a KV head), with the others in the cache.
struct StepShape {
  int64_t batch = 1;
  int64_t query_tokens = 0;
  int64_t kv_tokens = 0;
  Phase phase = Phase::kPrefill;
  Mask mask = Mask::Causal();

  bool operator==(const StepShape&) const = default;
};

// The attention variant inside a decoder for the variant that was asked for. headwise: heads in, heads out
// (exchange none), as the output projection takes only the rank's heads. sequence in decode: all_to_all,
// which leaves each rank the heads that its part of the output projection takes, with the online softmax, the
// only one that splits keys.
Variant VariantInsideDecoder(const Variant& asked, Phase phase);

// Tokens of `kv_tokens` that a rank's cache has to have room for; for what a prefill of packed documents
// deals to it at least the step's tokens().
int64_t CacheTokens(ParallelStrategy strategy, int64_t kv_tokens, int64_t ranks);

class DecoderStep {
 public:
  // Collective; all ranks pass the same. Allocates everything; running allocates nothing. The communicator
  // and the table must outlive it. Throws the same Error on every rank if the combination is not valid. Where
  // layers slide, the mask is causal, and a sharding that looks at the mask (balanced) is none of theirs.
  DecoderStep(Communicator& communicator, const Qwen3Config& config, const Variant& asked,
              const ExecutionOptions& options, const RotaryTable& rotary, const StepShape& shape,
              const DecoderPrecision& precision = {});

  // Decode, while the cache grows: from now on kv_tokens, the decoded one included, no more than at
  // construction. Local, but every rank says the same; no buffer is allocated.
  void SetKvTokens(int64_t kv_tokens);

  // The tokens whose hidden states this rank works on; rows are [batch, local tokens, hidden].
  const TokenSegments& tokens() const { return tokens_; }
  int64_t rows() const { return rows_; }
  // Decode: which tokens are in this rank's cache before the step, if it was not filled by a prefill.
  IndexRange cached_tokens() const;

  // Collective. output (=, or += for a residual) attention block of x; both [rows, hidden], not overlapping.
  // Puts the keys and values of the step into the cache, which is of the precision's type: behind the others
  // or, in a decode over a layer that slides, into their window (window_cache.h).
  void Attention(const AttentionWeights& weights, const float* x, KeyValueCache& cache, Store store,
                 float* output, LayerType type = LayerType::kFullAttention);
  // Collective. output (=, +=) MLP of x.
  void Mlp(const MlpWeights& weights, const float* x, Store store, float* output);
  // Collective. One decoder layer, in place on hidden [rows, hidden].
  void Layer(const LayerWeights& weights, KeyValueCache& cache, float* hidden,
             LayerType type = LayerType::kFullAttention);
  // Rows of RMSNorm.
  void Norm(const float* x, std::span<const float> weight, int64_t rows, float* y);

  // Bytes that this rank allocated, attention's included.
  size_t workspace_bytes() const;
  const DistributedAttention& attention() const { return *full_.attention; }

 private:
  // Where the query, key and value heads lie in a row of the projection.
  struct QkvRow {
    int64_t query_heads, kv_heads, width;
  };

  // Attention over the tokens that layers of one type see, and the rows of a rank's cache that this step
  // adds: [append_begin, append_begin + append_count).
  struct CachedAttention {
    std::unique_ptr<DistributedAttention> attention;
    int64_t append_begin = 0;
    int64_t append_count = 0;

    int64_t cached_tokens() const { return attention->key_value_shard().local_tokens(); }
  };

  void PlaceTokens();
  CachedAttention& AttentionOf(LayerType type);
  // Of a decode, whether the mask lets its token see all that is cached: then it does not matter where a
  // cached token lies.
  bool sees_all() const { return shape_.mask == Mask::Causal() || shape_.mask == Mask::Full(); }
  void Project(const AttentionWeights& weights, const float* x);
  ProjectedRows Projected();
  // output (=, +=) mixed heads times the output projection, and its bias.
  void ProjectHeads(const AttentionWeights& weights, const float* mixed, Store store, float* output);
  // output (=, +=) x W^T; with tensor-parallel weights x and W are parts and the sum goes over ranks.
  void ProjectToHidden(const ConstRows& x, const PackedMatrixView& weights, Store store, float* output);
  // Heads of every row of a buffer whose rows have `width` elements, as attention takes them.
  template <typename T>
  TensorView HeadsOfRows(T* data, int64_t heads, int64_t width) const;
  TensorView Queries();

  Communicator* communicator_;
  Qwen3Config config_;
  StepShape shape_;
  ExecutionOptions options_;
  DecoderPrecision precision_;
  CachedAttention full_, sliding_;  // by LayerType; the latter if some layer slides
  // Weights are the whole model's and this step uses slices of them (sequence decode).
  bool slices_weights_;
  // Every rank adds a part to each projection to hidden size.
  bool sums_over_ranks_;

  TokenSegments tokens_;
  int64_t local_tokens_, rows_;
  QkvRow qkv_row_;
  int64_t gate_groups_;  // of this rank in this step

  RowWork row_work_;
  Linear linear_;
  RankSum sum_;
  AlignedBuffer qkv_, mixed_, normed_, gate_up_, activated_;
  AlignedBuffer rounded_queries_;  // [rows, query heads, head_dim] of bf16, if the K/V cache is
  // Of a prefill into int8: the layer's keys and values as attention reads them.
  std::optional<KeyValueCache> widened_;
};

}  // namespace attention

#endif  // SRC_QWEN3_DECODER_DECODER_STEP_H_
