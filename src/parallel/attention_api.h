// Distributed attention as four plain functions: two strategies times two algorithms, over float arrays.
//
//   q       [batch, query_heads, tokens, head_dim]   row-major, float32
//   k, v    [batch, kv_heads,    tokens, head_dim]   query head h reads KV head h / (query_heads / kv_heads)
//   output  as q; softmax(q k^T / sqrt(head_dim)) v over the keys that the mask shows
//
// headwise: `tokens` are all tokens. Every rank passes the complete q, k, v, computes its share of the heads
// and gets the complete output. sequence: every rank passes the rows of its own tokens (all heads) and gets
// their output; `tokens` is still the length of the whole sequence. Which tokens a rank owns:
// attention_tokens_of_rank.
//
// All are collective over the communicator, which must have been given the same shape and options on every
// rank. MPI must be initialised (MPI_THREAD_FUNNELED or more) and the calling thread be the one that did it.
// On bad arguments every rank throws the same attention::Error. Each call plans and allocates anew; to call
// often, keep a DistributedAttention (src/parallel/contracts/distributed_attention.h), which also offers
// every other exchange and layout.
#ifndef SRC_PARALLEL_ATTENTION_API_H_
#define SRC_PARALLEL_ATTENTION_API_H_

#include <mpi.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "src/attention/mask.h"
#include "src/parallel/strategy/strategy.h"
#include "src/simd/isa.h"

namespace attention {

struct AttentionShape {
  int64_t batch = 1;
  int64_t query_heads = 1;
  int64_t kv_heads = 1;  // divides query_heads
  int64_t tokens = 0;    // of the whole sequence
  int64_t head_dim = 128;
  Mask mask;
};

struct AttentionOptions {
  int threads = 1;         // OpenMP threads of this rank
  std::optional<Isa> isa;  // nothing: the widest of this CPU
  // How sequence shards tokens. zigzag balances causal attention, balanced any mask.
  Sharding sharding = Sharding::kContiguous;
};

// One score matrix per head, exact softmax; outputs gathered.
void attention_headwise_standard(const float* q, const float* k, const float* v, float* output,
                                 const AttentionShape& shape, MPI_Comm communicator,
                                 const AttentionOptions& options = {});
// Tiles with a running softmax; outputs gathered.
void attention_headwise_online_softmax(const float* q, const float* k, const float* v, float* output,
                                       const AttentionShape& shape, MPI_Comm communicator,
                                       const AttentionOptions& options = {});
// K/V gathered from all ranks, then exact softmax over whole rows.
void attention_sequence_standard(const float* q, const float* k, const float* v, float* output,
                                 const AttentionShape& shape, MPI_Comm communicator,
                                 const AttentionOptions& options = {});
// K/V travel around a ring while the kernel computes.
void attention_sequence_online_softmax(const float* q, const float* k, const float* v, float* output,
                                       const AttentionShape& shape, MPI_Comm communicator,
                                       const AttentionOptions& options = {});

// The global positions of the rows that rank `rank` of `ranks` passes to the sequence functions, in storage
// order. Balanced sharding deals them by the mask.
std::vector<int64_t> attention_tokens_of_rank(int64_t tokens, int ranks, int rank,
                                              Sharding sharding = Sharding::kContiguous,
                                              const Mask& mask = {});

}  // namespace attention

#endif  // SRC_PARALLEL_ATTENTION_API_H_
