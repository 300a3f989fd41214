#include "src/experiment/plan/case_cost.h"

#include <algorithm>
#include <cmath>

#include "src/base/aligned_buffer.h"
#include "src/base/error.h"
#include "src/parallel/partition/communication.h"
#include "src/qwen3/checkpoint/config.h"

namespace attention {
namespace {

int64_t CheckedTensorBytes(int64_t batch, int64_t heads, int64_t tokens, int64_t head_dim, size_t element) {
  const int64_t rows =
      CheckedProduct(CheckedProduct(batch, heads, "batch x heads"), tokens, "batch x heads x tokens");
  return CheckedProduct(rows, CheckedProduct(head_dim, static_cast<int64_t>(element), "row bytes"),
                        "tensor bytes");
}

// Sizes of the whole tensors.
struct Bytes {
  int64_t query = 0;
  int64_t key_value = 0;  // both
  int64_t output = 0;
};

Bytes TotalBytes(const AttentionProblem& p) {
  const size_t element = SizeOf(p.data_type);
  Bytes bytes;
  bytes.query = CheckedTensorBytes(p.batch, p.query_heads, p.query_tokens, p.head_dim, element);
  bytes.key_value =
      CheckedProduct(2, CheckedTensorBytes(p.batch, p.kv_heads, p.kv_tokens, p.head_dim, element), "K and V");
  bytes.output = CheckedTensorBytes(p.batch, p.query_heads, p.query_tokens, p.head_dim, sizeof(float));
  return bytes;
}

// Matrices of the decoder scopes beside attention itself.
struct DecoderCost {
  double layers = 1;            // how often attention runs
  double row_weights = 0;       // weights that every row meets
  double sequence_weights = 0;  // weights that the last row of every sequence meets (LM head)
  double weights() const { return row_weights + sequence_weights; }
};

DecoderCost CostOfDecoder(const Cell& cell) {
  DecoderCost cost;
  if (cell.scope == Scope::kAttention) return cost;
  const Qwen3Config config = ConfigOf(cell);
  cost.row_weights = static_cast<double>(config.layer_parameters());
  if (cell.scope == Scope::kModel) {
    cost.layers = static_cast<double>(config.layers);
    cost.row_weights *= cost.layers;
    cost.sequence_weights = static_cast<double>(config.vocabulary_size * config.hidden_size);
  }
  return cost;
}

// The reference in float64, once per cell: as many operations, at a rate seen on AVX-512 and AVX2.
constexpr double kReferenceCoreGflops = 10;

}  // namespace

AttentionPlan PlanOfCase(const Cell& cell, const Variant& variant) {
  ExecutionOptions options;
  options.isa = cell.isa;
  options.threads = cell.threads;
  AttentionProblem problem = cell.problem;
  // That of a decoder's cell is the weights'.
  if (cell.scope != Scope::kAttention) {
    problem.data_type = cell.precision.queries();
    if (cell.phase == Phase::kDecode) problem.kept_key_values = cell.precision.kv_cache;
  }
  return AttentionPlan::Make(problem, variant, cell.contract, options, cell.ranks, 0);
}

double VisiblePairs(const AttentionProblem& problem) {
  return problem.mask.VisiblePairs(problem.kv_tokens - problem.query_tokens, problem.query_tokens,
                                   problem.kv_tokens);
}

void EstimateCosts(Cell& cell, const MeasureOptions& measure) {
  const AttentionProblem& p = cell.problem;
  const Bytes total = TotalBytes(p);
  // Far above any machine, far below where sums of a few such sizes leave 64 bits.
  const double all = static_cast<double>(total.query) + static_cast<double>(total.key_value) +
                     static_cast<double>(total.output);
  if (all > 0x1p56)
    FailUsage(cell.where, ": Q, K, V and O of one cell take ", all, " bytes; shorten seq_len or batch");
  const DecoderCost decoder = CostOfDecoder(cell);
  const double rows = static_cast<double>(p.batch) * p.query_tokens;
  cell.flops = decoder.layers * 4.0 * p.batch * p.query_heads * p.head_dim * VisiblePairs(p) +
               2 * (rows * decoder.row_weights + p.batch * decoder.sequence_weights);
  const double weight_bytes = decoder.weights() * static_cast<double>(SizeOf(p.data_type));
  // Inside a decoder, activations stay in caches.
  const double cache_rows = decoder.layers * 2.0 * p.batch * p.kv_heads * p.kv_tokens;
  const double cache_bytes = cache_rows * static_cast<double>(RowBytes(cell.precision.kv_cache, p.head_dim));
  cell.minimum_bytes = cell.scope == Scope::kAttention
                           ? static_cast<double>(total.query) + total.key_value + total.output
                           : cache_bytes + weight_bytes;
  const double rate = RowOf(cell.isa).expected_core_gflops * 1e9 * cell.ranks * cell.threads;
  // A sample is up to three runs (all, compute alone, exchange alone) and a warm-up of what fits the caches.
  const double run_seconds = std::max(cell.flops / rate, 2e-5);
  const double warm_up = cell.minimum_bytes < (32 << 20) ? measure.warmup : 0;
  const double runs = 1 + warm_up + (cell.ranks > 1 && measure.measure_parts ? 1.2 : 0);
  // The limits beside it: some ms for the peak, four reads as long as a run.
  const double limits = 7e-3 + 4 * std::clamp(run_seconds, 2e-3, 50e-3);
  const double round_seconds = limits + run_seconds * runs * static_cast<double>(cell.cases.size());
  double seconds = round_seconds * (measure.rounds > 0 ? measure.rounds : measure.pilot_rounds + 30);
  if (measure.rounds == 0 && measure.pilot_rounds == 0) {
    const double one = run_seconds * runs * static_cast<double>(cell.cases.size());
    const double most =
        measure.seconds_per_cell > 0 ? std::floor(measure.seconds_per_cell / one) : measure.max_rounds;
    const double rounds = std::clamp(most, double{1} * measure.min_rounds, double{1} * measure.max_rounds);
    seconds = one * (rounds + 1) + limits * (measure.limits_each_round ? rounds : 1);
  } else if (measure.rounds == 0 && measure.seconds_per_cell > 0) {
    seconds = std::clamp(seconds, round_seconds * (measure.min_rounds + 1),
                         std::max(measure.seconds_per_cell, round_seconds * (measure.min_rounds + 1)));
  }
  for (Case& made : cell.cases) {
    made.comm_bytes_per_rank = MostBytesSent(PlanOfCase(cell, made.variant));
    seconds += run_seconds;  // checked before
  }
  const double drawn = cell.scope == Scope::kAttention
                           ? cell.minimum_bytes / static_cast<double>(SizeOf(p.data_type))
                           : cache_rows * static_cast<double>(p.head_dim) + decoder.weights();
  const double set_up = drawn * 20e-9 * cell.cases.size() + 0.05;
  const double reference = decoder.weights() > 0
                               ? 2 * decoder.weights() * p.batch * p.query_tokens /
                                     (kReferenceCoreGflops * 1e9 * cell.ranks * cell.threads)
                               : 0;
  cell.seconds_estimate = std::min(seconds, measure.max_seconds_per_cell) + set_up + reference;
}

}  // namespace attention
