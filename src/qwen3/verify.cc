#include "src/qwen3/verify.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <span>

#include "src/base/error.h"
#include "src/mpi/agreement.h"
#include "src/qwen3/checkpoint/config.h"
#include "src/qwen3/checkpoint/safetensors.h"
#include "src/qwen3/checkpoint/tensor_source.h"
#include "src/qwen3/decoder/decoder_step.h"
#include "src/qwen3/decoder/key_value_cache.h"
#include "src/qwen3/decoder/rank_collectives.h"
#include "src/qwen3/decoder/weights.h"
#include "src/qwen3/linear/rotary.h"

namespace attention {
namespace {

constexpr char kPrefix[] = "model.layers.0.";

// The file's content, checked, with its tensors as floats.
struct VerifyCase {
  Qwen3Config config;
  Mask mask = Mask::Causal();
  int64_t batch = 0, tokens = 0;
  std::vector<float> hidden, expected;
  double tolerance = 0;
};

template <typename Number>
Number ReadNumber(const SafetensorsFile& file, const char* key) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) FailUsage(file.path(), ": metadata '", key, "' is missing");
  const std::string& text = found->second;
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !(number > 0)) {
    FailUsage(file.path(), ": metadata '", key, "' should be a positive number, is \"", text.substr(0, 100),
              "\"");
  }
  return number;
}

std::vector<float> ReadAll(const StoredTensor& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  tensor.ReadFloats(0, values);
  return values;
}

float LargestMagnitude(const SafetensorsFile& file, const std::string& name, int64_t size) {
  const StoredTensor& tensor = file.Get(name);
  tensor.RequireFloat({size});
  float largest = 0;
  for (float value : ReadAll(tensor)) largest = std::max(largest, std::abs(value));
  return largest;
}

double Tolerance(const SafetensorsFile& file, const Qwen3Config& config) {
  const std::string attention = std::string(kPrefix) + "self_attn.";
  const double largest_logit = std::sqrt(static_cast<double>(config.head_dim)) *
                               LargestMagnitude(file, attention + "q_norm.weight", config.head_dim) *
                               LargestMagnitude(file, attention + "k_norm.weight", config.head_dim);
  const std::string& stored = file.Get("expected_output").data_type;
  const double storage = stored == "BF16" ? 0x1p-9 : stored == "F16" ? 0x1p-12 : 0;
  return 5e-6 + 4 * 0x1p-24 * largest_logit + storage;
}

VerifyCase ReadCase(const std::string& path) {
  const auto file = SafetensorsFile::Open(path);
  VerifyCase result;
  Qwen3Config& config = result.config;
  config.query_heads = ReadNumber<int64_t>(*file, "num_attention_heads");
  config.kv_heads = ReadNumber<int64_t>(*file, "num_key_value_heads");
  config.head_dim = ReadNumber<int64_t>(*file, "head_dim");
  config.rms_norm_epsilon = ReadNumber<double>(*file, "rms_norm_eps");
  config.rope_theta = ReadNumber<double>(*file, "rope_theta");
  const auto causal = file->metadata().find("causal");
  if (causal == file->metadata().end() || (causal->second != "true" && causal->second != "false")) {
    FailUsage(path, ": metadata 'causal' should be \"true\" or \"false\"");
  }
  result.mask = causal->second == "true" ? Mask::Causal() : Mask::Full();

  const StoredTensor& hidden = file->Get("hidden_states");
  if (hidden.shape.size() != 3 || hidden.elements() == 0) {
    FailUsage(hidden.Where(), ": expected shape [batch, tokens, hidden], none of them 0");
  }
  hidden.RequireFloat(hidden.shape);
  result.batch = hidden.shape[0];
  result.tokens = hidden.shape[1];
  config.hidden_size = hidden.shape[2];
  config.layers = 1;
  const StoredTensor* gate = file->Find(std::string(kPrefix) + "mlp.gate_proj.weight");
  if (gate != nullptr && gate->shape.size() == 2) config.intermediate_size = gate->shape[0];
  config.Check(path);
  file->Get("expected_output").RequireFloat(hidden.shape);
  result.hidden = ReadAll(hidden);
  result.expected = ReadAll(file->Get("expected_output"));
  result.tolerance = Tolerance(*file, config);
  return result;
}

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
  const RotaryTable rotary(problem.tokens, config.head_dim, config.rope_theta);
  DecoderStep step(communicator, config, variant, options, rotary,
                   {problem.batch, problem.tokens, problem.tokens, Phase::kPrefill, problem.mask});
  const WeightShare share = StoredWeights(config, variant.strategy, communicator.size(), communicator.rank());
  const LayerStorage storage(source, kPrefix, config, share, DataType::kFloat32, options.threads);
  KeyValueCache cache(problem.batch, share.heads.kv.size(),
                      CacheTokens(variant.strategy, problem.tokens, communicator.size()), config.head_dim);

  const TokenRows rows{problem.batch, problem.tokens, hidden_size, variant.sharding};
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

VerifyResult Compare(const VerifyCase& problem, std::span<const float> actual) {
  VerifyResult result;
  double error = 0, norm = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    if (!std::isfinite(actual[i])) ++result.non_finite;
    const double difference = static_cast<double>(actual[i]) - problem.expected[i];
    result.max_abs_err = std::max(result.max_abs_err, std::abs(difference));
    error += difference * difference;
    norm += static_cast<double>(problem.expected[i]) * problem.expected[i];
  }
  result.rel_l2_err = norm > 0 ? std::sqrt(error / norm) : std::sqrt(error);
  result.tolerance = problem.tolerance;
  result.passed = result.non_finite == 0 && result.rel_l2_err <= problem.tolerance;
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
    problem = ReadCase(path);
    source = MakeCheckpointSource(path);
    variants = VariantsToRun(request);
    // Every shape is checked here, where all ranks agree on errors, and not in the middle of a run.
    LayerStorage(*source, kPrefix, problem.config, WeightShare::Whole(problem.config), DataType::kFloat32, 1);
  });
  std::vector<VerifyResult> results;
  for (const Variant& variant : variants) {
    for (Isa isa : request.isas) {
      const ExecutionOptions options{isa, request.threads, request.backend, true};
      VerifyResult result = Compare(problem, RunOnce(communicator, problem, *source, variant, options));
      result.variant = variant;
      result.isa = isa;
      results.push_back(result);
      if (on_result) on_result(result);
    }
  }
  return results;
}

}  // namespace attention
