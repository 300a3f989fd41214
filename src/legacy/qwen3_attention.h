// The study's original interface to a Qwen3 attention block, over today's implementation.
#ifndef SRC_LEGACY_QWEN3_ATTENTION_H_
#define SRC_LEGACY_QWEN3_ATTENTION_H_

#include <mpi.h>

#include <cstdint>
#include <vector>

#include "src/attention/attention_types.h"
#include "src/legacy/compatibility.h"
#include "src/parallel/strategy/strategy.h"

namespace attention {

// Row-major float32, owning its values.
struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

// The attention block of one Qwen3 layer, causal, on the ranks of `comm` together. Collective; every rank
// passes the same arguments and gets the whole result.
//   hidden_states [batch, tokens, hidden]
//   qkv_projs     [(H + 2 KV) * D, hidden]: query rows, then key rows, then value rows
//   o_proj        [hidden, H * D]
//   q_norm_weight, k_norm_weight [D]; RMSNorm epsilon is Qwen3's 1e-6
//   cos, sin      [tokens, D], or [1, tokens, D], as Hugging Face makes them (second half repeats the first)
//   -> [batch, tokens, hidden]
// ISA: the widest of this CPU; threads: OpenMP's current maximum. Weights are repacked on every call: callers
// that run a block often hold a DecoderStep and a LayerStorage. Throws Error, the same on every rank, if
// shapes do not fit.
Tensor qwen3_attention_mpi_omp(const Tensor& hidden_states, int64_t num_attention_heads,
                               int64_t num_key_value_heads, int64_t head_dim, const Tensor& qkv_projs,
                               const Tensor& o_proj, const Tensor& q_norm_weight, const Tensor& k_norm_weight,
                               const Tensor& cos, const Tensor& sin, MPI_Comm comm, ParallelStrategy strategy,
                               AttentionAlgorithm algorithm);

// The same with AVX2 kernels, whatever else the CPU has.
Tensor qwen3_attention_mpi_avx(const Tensor& hidden_states, int64_t num_attention_heads,
                               int64_t num_key_value_heads, int64_t head_dim, const Tensor& qkv_projs,
                               const Tensor& o_proj, const Tensor& q_norm_weight, const Tensor& k_norm_weight,
                               const Tensor& cos, const Tensor& sin, MPI_Comm comm, ParallelStrategy strategy,
                               AttentionAlgorithm algorithm);

// The oldest spelling: head-wise, STREAMING meaning the online softmax.
[[deprecated("name a ParallelStrategy and an AttentionAlgorithm")]] Tensor qwen3_attention_mpi_omp(
    const Tensor& hidden_states, int64_t num_attention_heads, int64_t num_key_value_heads, int64_t head_dim,
    const Tensor& qkv_projs, const Tensor& o_proj, const Tensor& q_norm_weight, const Tensor& k_norm_weight,
    const Tensor& cos, const Tensor& sin, MPI_Comm comm, MPIAttentionType type);

}  // namespace attention

#endif  // SRC_LEGACY_QWEN3_ATTENTION_H_
