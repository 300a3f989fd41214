// Checks an attention block or decoder layer against a file made elsewhere: `benchmark_qwen3 --verify FILE`.
//
// Tensors: hidden_states [batch, tokens, hidden]; model.layers.0.self_attn.{q,k,v,o}_proj.weight;
// model.layers.0.self_attn.{q,k}_norm.weight [head_dim]; expected_output [batch, tokens, hidden]. With
// model.layers.0.mlp.{gate,up,down}_proj.weight and the two layer norms the file is a whole decoder layer.
// Metadata, all strings: num_attention_heads, num_key_value_heads, head_dim, rms_norm_eps, rope_theta,
// causal ("true" or "false"); and, where they are not the default, attention_bias, with {q,k,v,o}_proj.bias,
// and rope_scaling or rope_parameters (with max_position_embeddings), as JSON. Anything else in the file is
// refused if it could mean another computation: tensors that are not read, metadata as the keys of a
// config.json (config_keys.h).
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

// No output passes whose rel_l2_err, of the whole or of any row, is above this, whatever the file says of
// itself: its norm weights and its storage type set the tolerance, and a file can hold any. An output with
// one row in n missing, or another's in its place, has an error of 1/sqrt(n) or more when rows are of one
// size; so the cap sees one row in 2^14, and a wrong mask, scale, sign or position (errors of .1 to 2) a
// hundredfold. It is above what files made from models need: logits of up to 32,000, and BF16 storage (2^-9).
inline constexpr double kVerifyToleranceCap = 0x1p-7;

// Collective; results are the same on every rank. `on_result` (may be empty) is called on every rank after
// each run. Throws Error, the same on every rank: (bad usage) if the file is not what it should be or nothing
// that was asked for is valid; (failed) if it cannot be decided, because rounding may make an error above the
// cap and has, or because the expected output is all zeros.
//
// Tolerance, relative l2: 5e-6 for fp32 arithmetic, plus 4 * 2^-24 * L for what softmax makes of the rounding
// of its logits, L = sqrt(head_dim) * max |q_norm| * max |k_norm| being the largest logit there can be (times
// the square of YaRN's magnitude), plus half a unit of the type that expected_output is stored in (2^-9 for
// BF16, 2^-12 for F16).
std::vector<VerifyResult> VerifyFile(Communicator& communicator, const std::string& path,
                                     const VerifyRequest& request,
                                     const std::function<void(const VerifyResult&)>& on_result);

}  // namespace attention

#endif  // SRC_QWEN3_VERIFY_H_
