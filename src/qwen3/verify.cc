#include "src/qwen3/verify.h"

#include <algorithm>
#include <memory>
#include <span>

#include "src/base/error.h"
#include "src/mpi/agreement.h"
#include "src/parallel/partition/partition.h"
#include "src/qwen3/checkpoint/config.h"
#include "src/qwen3/checkpoint/tensor_source.h"
#include "src/qwen3/decoder/decoder_step.h"
#include "src/qwen3/decoder/key_value_cache.h"
#include "src/qwen3/decoder/rank_collectives.h"
#include "src/qwen3/decoder/weights.h"
#include "src/qwen3/linear/rotary.h"
#include "src/qwen3/verify_case.h"

namespace attention {
namespace {

// Prefill variants that differ inside a block and that were asked for.
std::vector<Variant> VariantsToRun(const VerifyRequest& request) {
  std::vector<Variant> variants;
  for (const ValidCombination& valid : ValidCombinations(Phase::kPrefill)) {
    const Variant& variant = valid.variant;
    const bool headwise = variant.strategy == ParallelStrategy::kHeadwise;
    if (valid.contract != Contract::kNative || VariantInsideDecoder(variant, Phase::kPrefill) != variant)
      continue;
    if (request.strategy && *request.strategy != variant.strategy) continue;
    if (!headwise && request.exchange && *request.exchange != variant.exchange) continue;
    if (!headwise && request.sharding && *request.sharding != variant.sharding) continue;
    if (request.algorithm && *request.algorithm != variant.algorithm) continue;
    variants.push_back(variant);
  }
  Require(!variants.empty(),
          "verify: no valid variant has the strategy, exchange, sharding and algorithm named");
  return variants;
}

std::vector<float> RunOnce(Communicator& communicator, const VerifyCase& problem, const TensorSource& source,
                           const Variant& variant, const ExecutionOptions& options) {
  const Qwen3Config& config = problem.config;
  const int64_t hidden_size = config.hidden_size;
  const RotaryTable rotary(problem.tokens, config.head_dim, config.rope_theta, config.rope_scaling);
  DecoderStep step(communicator, config, variant, options, rotary,
                   {problem.batch, problem.tokens, problem.tokens, Phase::kPrefill, problem.mask});
  const WeightShare share = StoredWeights(config, variant.strategy, communicator.size(), communicator.rank());
  const LayerStorage storage(source, kVerifyPrefix, config, share, DataType::kFloat32, options.threads);
  KeyValueCache cache(
      problem.batch, share.heads.kv.size(),
      std::max(CacheTokens(variant.strategy, problem.tokens, communicator.size()), TokenCount(step.tokens())),
      config.head_dim);

  const TokenRows rows{problem.batch, problem.tokens, hidden_size, variant.sharding, problem.mask};
  std::vector<float> x = ShareOfRows(rows, step.tokens(), problem.hidden), output(x.size());
  if (config.intermediate_size > 0) {
    step.Layer(storage.view(), cache, x.data());
    output = x;
  } else {
    step.Attention(storage.view().attention, x.data(), cache, Store::kOverwrite, output.data());
  }
  if (variant.strategy == ParallelStrategy::kHeadwise) return output;
  std::vector<float> whole(problem.expected.size());
  GatherTokens(communicator, rows, output.data(), whole.data());
  return whole;
}

// Error (failed) if rounding alone could explain an output that is further away than the cap.
VerifyResult Judge(const std::string& path, const VerifyCase& problem, std::span<const float> actual) {
  const OutputErrors errors = CompareOutputs(problem, actual);
  VerifyResult result;
  result.max_abs_err = errors.max_abs;
  result.rel_l2_err = errors.rel_l2;
  result.non_finite = errors.non_finite;
  result.tolerance = std::min(problem.tolerance, kVerifyToleranceCap);
  result.passed =
      errors.non_finite == 0 && errors.rel_l2 <= result.tolerance && errors.row_rel_l2 <= kVerifyToleranceCap;
  if (!result.passed && errors.non_finite == 0 && problem.tolerance > kVerifyToleranceCap) {
    Fail(path, ": undecidable: with logits of up to ", problem.largest_logit, " (q_norm, k_norm) rounding",
         " alone can make a rel_l2_err of ", problem.tolerance, "; it is ", errors.rel_l2, ", and above ",
         kVerifyToleranceCap, " nothing passes");
  }
  return result;
}

}  // namespace

std::vector<VerifyResult> VerifyFile(Communicator& communicator, const std::string& path,
                                     const VerifyRequest& request,
                                     const std::function<void(const VerifyResult&)>& on_result) {
  VerifyCase problem;
  std::unique_ptr<TensorSource> source;
  std::vector<Variant> variants;
  AgreeOnErrors(communicator, [&] {
    problem = ReadVerifyCase(path);
    source = MakeCheckpointSource(path);
    variants = VariantsToRun(request);
    // Every shape is checked here, where all ranks agree on errors, and not in the middle of a run.
    LayerStorage(*source, kVerifyPrefix, problem.config, WeightShare::Whole(problem.config),
                 DataType::kFloat32, 1);
  });
  std::vector<VerifyResult> results;
  for (const Variant& variant : variants) {
    for (Isa isa : request.isas) {
      const ExecutionOptions options{isa, request.threads, request.backend, true};
      const std::vector<float> actual = RunOnce(communicator, problem, *source, variant, options);
      VerifyResult result;
      AgreeOnErrors(communicator, [&] { result = Judge(path, problem, actual); });
      result.variant = variant;
      result.isa = isa;
      results.push_back(result);
      if (on_result) on_result(result);
    }
  }
  return results;
}

}  // namespace attention
