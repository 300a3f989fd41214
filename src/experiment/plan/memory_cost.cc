#include "src/experiment/plan/memory_cost.h"

#include <algorithm>
#include <set>

#include "src/base/aligned_buffer.h"
#include "src/base/error.h"
#include "src/experiment/plan/case_cost.h"
#include "src/machine/machine_info.h"
#include "src/machine/machine_peak.h"
#include "src/parallel/partition/communication.h"
#include "src/qwen3/checkpoint/config.h"
#include "src/qwen3/decoder/decoder_step.h"
#include "src/qwen3/decoder/weights.h"

namespace attention {
namespace {

// Code, libraries and the rank's MPI before a cell is made; what a rank of several touches of the memory that
// they share. Measured (Open MPI 4.1, GCC 12).
constexpr double kProcessBytes = 20.0 * (1 << 20);
constexpr double kMessageMemoryBytes = 12.0 * (1 << 20);

// Sums of such products do not leave the range of double; they are cut to 64 bits at the end.
double Times(int64_t a, int64_t b) { return static_cast<double>(a) * static_cast<double>(b); }

int64_t ToBytes(double bytes) { return static_cast<int64_t>(std::min(bytes, 0x1p62)); }

double ScoreBytes(const AttentionPlan& plan) {
  if (!RowOf(plan.variant.algorithm).stores_all_scores) return 0;
  return Times(MostQueryTokens(plan), plan.problem.kv_tokens) * sizeof(float);
}

// Queries, keys and values of attention alone, as the case is given them: their share of all four tensors.
double InputBytes(const Cell& cell, const Variant& variant) {
  const AttentionProblem& p = cell.problem;
  const double element = static_cast<double>(SizeOf(p.data_type));
  const double output = Times(p.query_heads, p.query_tokens) * sizeof(float);
  const double inputs = element * (Times(p.query_heads, p.query_tokens) + 2 * Times(p.kv_heads, p.kv_tokens));
  return static_cast<double>(MostTensorBytes(PlanOfCase(cell, variant))) * inputs / (inputs + output);
}

double AttentionCaseBytes(const Cell& cell, const Variant& variant) {
  const AttentionPlan plan = PlanOfCase(cell, variant);
  return static_cast<double>(MostTensorBytes(plan)) + static_cast<double>(MostExchangeBufferBytes(plan)) +
         ScoreBytes(plan);
}

// A decoder cell on one rank.
class DecoderMemory {
 public:
  explicit DecoderMemory(const Cell& cell)
      : cell_(cell), config_(ConfigOf(cell)), element_(SizeOf(cell.problem.data_type)) {}

  // Of one layer, or of a whole model.
  double WeightBytes(ParallelStrategy strategy) const {
    const double share = strategy == ParallelStrategy::kHeadwise ? 1.0 / cell_.ranks : 1.0;
    const double layers = cell_.scope == Scope::kModel ? static_cast<double>(config_.layers) : 1;
    double parameters = layers * share * static_cast<double>(config_.layer_parameters());
    if (cell_.scope == Scope::kModel) {
      const double matrix = Times(config_.vocabulary_size, config_.hidden_size) / cell_.ranks;
      parameters += matrix * (config_.tied_embeddings || !config_.has_lm_head ? 1 : 2);
    }
    return parameters * static_cast<double>(element_);
  }

  // Beside the weights: caches, hidden states, activations, what travels.
  double WorkBytes(const Variant& variant) const {
    const int64_t batch = cell_.problem.batch, tokens = cell_.problem.query_tokens;
    const double layers = cell_.scope == Scope::kModel ? static_cast<double>(config_.layers) : 1;
    double bytes = layers * CacheBytes(variant) + Times(cell_.seq_len, config_.head_dim) * sizeof(float);
    if (config_.slides()) {
      const int64_t most = std::max<int64_t>(cell_.seq_len, 1);
      bytes += CacheBytes(variant) * static_cast<double>(std::min(most, config_.sliding_window)) /
               static_cast<double>(most);
    }
    bytes += StepBytes(variant);
    if (cell_.scope == Scope::kModel) {
      // Embedded ids of every token, hidden states of the rank's; logits, and once more where they are
      // checked.
      bytes += 2 * Times(batch * tokens, config_.hidden_size) * sizeof(float);
      bytes += 2 * Times(batch, config_.vocabulary_size) * sizeof(float);
      return bytes;
    }
    return bytes + 2 * Times(Rows(variant), config_.hidden_size) * sizeof(float);
  }

  // The reference in float64: the rank's tokens, everyone's keys and values, and the rows that are asked for.
  double ReferenceBytes(int reference_rows) const {
    const int64_t batch = cell_.problem.batch;
    const int64_t own = batch * ((cell_.problem.query_tokens + cell_.ranks - 1) / cell_.ranks);
    // Of a block or layer those that are compared, some borders among them; of a model all, in all layers but
    // one.
    constexpr int64_t kBorders = 48;
    const int64_t rows =
        cell_.scope == Scope::kModel ? own : std::min<int64_t>(own, batch * (reference_rows + kBorders));
    // Products stand beside a copy of what is multiplied, padded; norms beside what they are of.
    const int64_t copies = cell_.scope == Scope::kBlock ? 2 : 3;  // of hidden states; layers normalise first
    const double wide =
        std::max({Times(own, copies * config_.hidden_size + config_.key_width()),
                  Times(own, config_.hidden_size) + Times(rows, 4 * config_.query_width()),
                  Times(own, config_.hidden_size) + Times(rows, 3 * config_.intermediate_size)});
    double values =
        wide + 2 * Times(batch * cell_.seq_len, config_.key_width()) + Times(rows, 3 * config_.hidden_size);
    if (cell_.scope == Scope::kModel) values += 2 * Times(batch, config_.vocabulary_size);
    return values * sizeof(double);
  }

 private:
  int64_t Rows(const Variant& variant) const {
    const bool dealt = variant.strategy == ParallelStrategy::kSequence && cell_.phase == Phase::kPrefill;
    const int64_t tokens = dealt ? MostQueryTokens(PlanInside(variant)) : cell_.problem.query_tokens;
    return cell_.problem.batch * tokens;
  }

  double CacheBytes(const Variant& variant) const {
    const WeightShare share = StoredWeights(config_, variant.strategy, cell_.ranks, 0);
    const int64_t tokens = std::max(CacheTokens(variant.strategy, cell_.seq_len, cell_.ranks),
                                    Rows(variant) / cell_.problem.batch);
    const int64_t row = RowBytes(cell_.precision.kv_cache, config_.head_dim);
    return 2 * Times(cell_.problem.batch * share.heads.kv.size() * row, tokens);
  }

  double StepBytes(const Variant& asked) const {
    const int64_t rows = Rows(asked);
    const bool tensor_parallel =
        asked.strategy == ParallelStrategy::kHeadwise || cell_.phase == Phase::kDecode;
    const WeightShare share =
        tensor_parallel ? WeightShare::TensorParallel(config_, cell_.ranks, 0) : WeightShare::Whole(config_);
    const int64_t heads = share.heads.query.size(), kv_heads = share.heads.kv.size();
    const int64_t intermediate = share.gate_groups.size() * kGateGroup;
    const int64_t widest = std::max(
        {config_.hidden_size, config_.query_width(), GateGroups(config_.intermediate_size) * kGateGroup});
    const int64_t width =
        (2 * heads + 2 * kv_heads) * config_.head_dim + config_.hidden_size + 3 * intermediate + widest;
    double bytes = Times(rows, width) * sizeof(float);
    if (cell_.precision.kv_cache == DataType::kBfloat16) {
      bytes += Times(rows, heads * config_.head_dim) * sizeof(Bfloat16);
    }
    // A prefill attends to what an int8 cache stands for.
    if (cell_.precision.kv_cache == DataType::kInt8 && cell_.phase == Phase::kPrefill) {
      bytes += 2 * Times(rows, kv_heads * config_.head_dim) * sizeof(float);
    }
    // What the others' parts of a sum arrive in.
    if (cell_.ranks > 1 && tensor_parallel) bytes += Times(rows, config_.hidden_size) * sizeof(float);
    return bytes + AttentionBytes(asked);
  }

  AttentionPlan PlanInside(const Variant& asked) const {
    Cell step = cell_;
    step.contract = Contract::kNative;
    return PlanOfCase(step, VariantInsideDecoder(asked, cell_.phase));
  }

  double AttentionBytes(const Variant& asked) const {
    const auto bytes_of = [](const AttentionPlan& plan) {
      return static_cast<double>(MostExchangeBufferBytes(plan)) + ScoreBytes(plan);
    };
    AttentionPlan plan = PlanInside(asked);
    const double bytes = bytes_of(plan);
    if (!config_.slides()) return bytes;
    // Layers that slide have an attention of their own.
    AttentionProblem& problem = plan.problem;
    if (problem.is_decode()) {
      problem.kv_tokens = std::min(problem.kv_tokens, config_.sliding_window);
    } else {
      problem.mask = Mask::Window(config_.sliding_window);
    }
    return bytes + bytes_of(plan);
  }

  const Cell& cell_;
  Qwen3Config config_;
  size_t element_;
};

// The attention reference: sampled rows of every head, and one head's keys and values.
double AttentionReferenceBytes(const AttentionProblem& problem, int reference_rows) {
  constexpr int64_t kBorders = 48;
  const int64_t rows = std::min<int64_t>(problem.query_tokens, reference_rows + kBorders);
  return Times(problem.batch * problem.query_heads * rows, problem.head_dim) * sizeof(double) +
         2 * Times(problem.kv_tokens, problem.head_dim) * static_cast<double>(SizeOf(problem.data_type));
}

}  // namespace

void EstimateMemory(Cell& cell, const ExperimentSpec& spec) {
  const bool is_decoder = cell.scope != Scope::kAttention;
  double cases = 0, largest_inputs = 0, reference = 0;
  std::set<ParallelStrategy> loaded;
  for (Case& made : cell.cases) {
    double own = 0;
    if (is_decoder) {
      const DecoderMemory memory(cell);
      const double weights = memory.WeightBytes(made.variant.strategy);
      // One rank owns everything under any strategy.
      const bool is_shared =
          cell.scope == Scope::kModel &&
          !loaded.insert(cell.ranks == 1 ? ParallelStrategy::kHeadwise : made.variant.strategy).second;
      own = memory.WorkBytes(made.variant) + (is_shared ? 0 : weights);
      largest_inputs = std::max(largest_inputs, weights);
      reference = memory.ReferenceBytes(spec.reference_rows);
    } else {
      own = AttentionCaseBytes(cell, made.variant);
      largest_inputs = std::max(largest_inputs, InputBytes(cell, made.variant));
      reference = AttentionReferenceBytes(cell.problem, spec.reference_rows);
    }
    made.memory_bytes_per_rank = ToBytes(own);
    cases += own;
  }
  double beside = std::min(largest_inputs, static_cast<double>(kMaximumReadBytes));
  if (cell.cache == CacheState::kCold) beside += 2.0 * static_cast<double>(LastLevelCacheBytes());
  const double process = kProcessBytes + (cell.ranks > 1 ? kMessageMemoryBytes : 0);
  cell.memory_bytes_per_rank = ToBytes(process + cases + beside + reference);
}

}  // namespace attention
