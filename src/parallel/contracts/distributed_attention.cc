#include "src/parallel/contracts/distributed_attention.h"

#include "src/base/error.h"

namespace attention {
namespace {

void CheckView(const char* name, const ConstTensorView& view, const TensorShard& shard,
               const AttentionProblem& problem, DataType type) {
  const TensorShape expected = QueryShape(problem, shard.head_count, shard.local_tokens());
  Require(view.shape == expected && view.data_type == type, name, " is [", view.shape.batch, ", ",
          view.shape.heads, ", ", view.shape.tokens, ", ", view.shape.head_dim, "] of ", Name(view.data_type),
          "; this rank's shard is [", expected.batch, ", ", expected.heads, ", ", expected.tokens, ", ",
          expected.head_dim, "] of ", Name(type));
}

}  // namespace

int64_t TensorShard::local_tokens() const { return TokenCount(segments); }

void DistributedAttention::SetKvTokens(int64_t kv_tokens) {
  AttentionProblem& problem = plan_.problem;
  Require(problem.phase == Phase::kDecode && kv_tokens >= problem.query_tokens && kv_tokens <= max_kv_tokens_,
          "attention over ", kv_tokens, " keys: made for ", Name(problem.phase), " over at most ",
          max_kv_tokens_);
  problem.kv_tokens = kv_tokens;
  PlaceTokens();
}

void DistributedAttention::Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                               const TensorView& output) {
  CheckViews(q, k, v, output);
  Execute(q, k, v, output, {.exchange = true, .compute = true});
}

void DistributedAttention::RunExchangeOnly(const ConstTensorView& q, const ConstTensorView& k,
                                           const ConstTensorView& v, const TensorView& output) {
  CheckViews(q, k, v, output);
  Execute(q, k, v, output, {.exchange = true, .compute = false});
}

void DistributedAttention::RunComputeOnly(const ConstTensorView& q, const ConstTensorView& k,
                                          const ConstTensorView& v, const TensorView& output) {
  CheckViews(q, k, v, output);
  Execute(q, k, v, output, {.exchange = false, .compute = true});
}

void DistributedAttention::CheckViews(const ConstTensorView& q, const ConstTensorView& k,
                                      const ConstTensorView& v, const TensorView& output) const {
  CheckView("q", q, query_shard_, plan_.problem, plan_.problem.data_type);
  CheckView("k", k, key_value_shard_, plan_.problem, plan_.problem.key_value_type());
  CheckView("v", v, key_value_shard_, plan_.problem, plan_.problem.key_value_type());
  CheckView("output", output, output_shard_, plan_.problem, DataType::kFloat32);
}

}  // namespace attention
