// What is measured in one go: a cell, one value of every axis, and its cases, the variants that it compares.
#ifndef SRC_EXPERIMENT_ASK_CELL_H_
#define SRC_EXPERIMENT_ASK_CELL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/experiment/ask/given_weights.h"
#include "src/machine/placement.h"
#include "src/parallel/strategy/strategy.h"
#include "src/qwen3/checkpoint/config.h"
#include "src/qwen3/checkpoint/model_shapes.h"
#include "src/qwen3/decoder/precision.h"
#include "src/simd/isa.h"

namespace attention {

enum class Scope { kAttention, kBlock, kLayer, kModel };
enum class CacheState { kWarm, kCold };
enum class InputDataKind { kGaussian, kPeaked };

std::string_view Name(Scope scope);
std::string_view Name(CacheState cache);
std::string_view Name(InputDataKind data);

// One variant in one cell.
struct Case {
  std::string id;            // cell id + "/" + label
  std::string label;         // as spelled in the experiment file
  Variant variant;           // defaults filled in
  bool is_auto = false;      // chosen for the cell; before that, the first there is (measure/choices.h)
  std::string duplicate_of;  // a control's copy: label of the variant it is a copy of
  int64_t comm_bytes_per_rank = 0;    // payload sent in one run, as MostBytesSent estimates it
  int64_t memory_bytes_per_rank = 0;  // what it adds on rank 0, see plan/memory_cost.h
};

// Everything fixed except the variant.
struct Cell {
  std::string id;  // stable: a hash of the factors below, whatever the order of axes and cells
  // Cells that a claim compares with each other share it: they are measured by turns, round by round. "":
  // alone.
  std::string bundle;
  ModelShape model;
  Scope scope = Scope::kAttention;
  Phase phase = Phase::kPrefill;
  Contract contract = Contract::kNative;
  Isa isa = Isa::kScalar;
  AttentionProblem problem;    // batch, heads, lengths, mask, data type
  DecoderPrecision precision;  // of decoder scopes
  int64_t seq_len = 0;
  int64_t cached_tokens = 0;  // before them, of a prefill
  int ranks = 1;
  int threads = 1;
  Placement placement = Placement::kPacked;
  CacheState cache = CacheState::kWarm;
  InputDataKind data = InputDataKind::kGaussian;
  uint64_t seed = 1;
  std::shared_ptr<const GivenWeights> weights;  // null: seeded
  std::vector<Case> cases;
  double flops = 0;  // attention: 4 * head_dim * (query, visible key) pairs over batch and heads, exact;
                     // decoder scopes: and 2 per row and weight of the matrices
  // Attention: Q, K, V read once and O written once. Decoder scopes: every weight that a run multiplies with
  // and the K/V cache, once.
  double minimum_bytes = 0;
  double seconds_estimate = 0;  // rough, see PlanOptions
  // Estimate of all that is resident at once on rank 0, see plan/memory_cost.h.
  int64_t memory_bytes_per_rank = 0;
  std::string where;  // of the value that sets the rank count, for complaints
};

// Of a decoder's cell: that of its weights, given or of the model's shape; of a block, without the MLP.
Qwen3Config ConfigOf(const Cell& cell);

}  // namespace attention

#endif  // SRC_EXPERIMENT_ASK_CELL_H_
