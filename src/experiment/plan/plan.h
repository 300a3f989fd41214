// Experiment -> cells and cases, with what each costs.
#ifndef SRC_EXPERIMENT_PLAN_PLAN_H_
#define SRC_EXPERIMENT_PLAN_PLAN_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "src/experiment/ask/experiment_spec.h"
#include "src/machine/placement.h"
#include "src/parallel/strategy/strategy.h"
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
  std::string id;                     // cell id + "/" + label
  std::string label;                  // as spelled in the experiment file
  Variant variant;                    // defaults filled in
  int64_t comm_bytes_per_rank = 0;    // payload that rank 0, whose shares are the largest, sends in one run
  int64_t memory_bytes_per_rank = 0;  // of rank 0: inputs, output, exchange buffers, scores, weights
};

// Everything fixed except the variant.
struct Cell {
  std::string id;  // stable: a hash of the factors below, whatever the order of axes and cells
  ModelShape model;
  Scope scope = Scope::kAttention;
  Phase phase = Phase::kPrefill;
  Contract contract = Contract::kNative;
  Isa isa = Isa::kScalar;
  AttentionProblem problem;  // batch, heads, lengths, mask, data type
  int64_t seq_len = 0;
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
  std::string where;            // of the value that sets the rank count, for complaints
};

struct Plan {
  std::vector<Cell> cells;
  int max_ranks = 1;
  double seconds_estimate() const;
  size_t case_count() const;
};

struct PlanOptions {
  Isa best_isa = Isa::kScalar;  // what "auto" means here
};

// Throws Error (bad usage), with the place of the value at fault, for combinations that are not valid, for
// sizes beyond 64 bits, and for grids of more than a million cases.
Plan MakePlan(const ExperimentSpec& spec, const PlanOptions& options);

// Number of (query, visible key) pairs of one head: causal prefill S(S+1)/2, full S*S, decode S.
double VisiblePairs(const AttentionProblem& problem);

}  // namespace attention

#endif  // SRC_EXPERIMENT_PLAN_PLAN_H_
