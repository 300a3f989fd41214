// Checks an attention block or decoder layer against a file made elsewhere: `benchmark_qwen3 --verify FILE`.
//
// Tensors: hidden_states [batch, tokens, hidden]; model.layers.0.self_attn.{q,k,v,o}_proj.weight;
// model.layers.0.self_attn.{q,k}_norm.weight [head_dim]; expected_output [batch, tokens, hidden]. With
// model.layers.0.mlp.{gate,up,down}_proj.weight and the two layer norms the file is a whole decoder layer.
// Metadata, all strings: num_attention_heads, num_key_value_heads, head_dim, rms_norm_eps, rope_theta,
// causal ("true" or "false").
#ifndef SRC_QWEN3_VERIFY_H_
#define SRC_QWEN3_VERIFY_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "src/mpi/communicator.h"
#include "src/parallel/strategy/strategy.h"
#include "src/qwen3/verify_request.h"

namespace attention {

struct VerifyResult {
  Variant variant;
  Isa isa = Isa::kScalar;
  double max_abs_err = 0;
  double rel_l2_err = 0;
  double tolerance = 0;  // for rel_l2_err
  int64_t non_finite = 0;
  bool passed = false;
};

// Collective; results are the same on every rank. `on_result` (may be empty) is called on every rank after
// each run. Throws Error (bad usage), the same on every rank, if the file is not what it should be or nothing
// that was asked for is valid.
//
// Tolerance, relative l2: 5e-6 for fp32 arithmetic, plus 4 * 2^-24 * L for what softmax makes of the rounding
// of its logits, L = sqrt(head_dim) * max |q_norm| * max |k_norm| being the largest logit there can be, plus
// half a unit of the type that expected_output is stored in (2^-9 for BF16, 2^-12 for F16).
std::vector<VerifyResult> VerifyFile(Communicator& communicator, const std::string& path,
                                     const VerifyRequest& request,
                                     const std::function<void(const VerifyResult&)>& on_result);

}  // namespace attention

#endif  // SRC_QWEN3_VERIFY_H_
