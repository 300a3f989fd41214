#include "src/parallel/kernel_runner.h"

namespace attention {

KernelRunner::KernelRunner(const AttentionPlan& plan, const HeadShare& heads, int64_t max_query_tokens,
                           int64_t max_kv_tokens)
    : requested_tiles_(plan.variant.tiles), poll_progress_(plan.options.poll_progress) {
  if (heads.query.size() == 0 || max_query_tokens == 0) return;
  const AttentionProblem& problem = plan.problem;
  BackendConfig config;
  config.algorithm = plan.variant.algorithm;
  config.isa = plan.options.isa;
  config.data_type = problem.data_type;
  config.threads = plan.options.threads;
  config.tiles = plan.variant.tiles;
  config.causal = problem.causal;
  config.heads = {problem.group_size(), heads.query.begin, heads.kv.begin};
  config.batch = problem.batch;
  config.query_heads = heads.query.size();
  config.kv_heads = heads.kv.size();
  config.head_dim = problem.head_dim;
  config.max_query_tokens = max_query_tokens;
  config.max_kv_tokens = max_kv_tokens;
  backend_ = plan.options.backend(config);
}

void KernelRunner::Accumulate(AttentionStep step, RequestSet* under_way) {
  if (!backend_) return;
  if (poll_progress_ && under_way != nullptr) {
    step.progress = {[](void* requests) { static_cast<RequestSet*>(requests)->Poll(); }, under_way};
  }
  backend_->Accumulate(step);
}

}  // namespace attention
