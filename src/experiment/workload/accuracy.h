// Is the result right? Sampled rows of every head against float64, with a tolerance that is derived.
#ifndef SRC_EXPERIMENT_WORKLOAD_ACCURACY_H_
#define SRC_EXPERIMENT_WORKLOAD_ACCURACY_H_

#include <cstdint>
#include <vector>

#include "src/experiment/plan/plan.h"
#include "src/experiment/workload/decoder_workload.h"
#include "src/experiment/workload/input_data.h"
#include "src/mpi/communicator.h"
#include "src/parallel/contracts/distributed_attention.h"

namespace attention {

struct AccuracyResult {
  double max_abs_err = 0;
  double rel_l2_err = 0;  // the largest over the sampled rows of |row - reference| / |reference|
  int64_t nonfinite = 0;  // NaN and infinities in the whole output
  int64_t rows = 0;       // rows compared, over all ranks
};

// Largest rel_l2_err of a correct implementation.
//
// Rounding errors are independent enough to add like a random walk (Higham & Mary 2019), in units u of the
// arithmetic. A logit is a dot product of head_dim terms, relative to logits of size about `logit_scale` (1
// for gaussian data): sqrt(head_dim) * logit_scale. Its absolute error is the relative error of exp(logit). A
// weighted sum over n visible keys adds sqrt(n); the exponential, the division, the scaling of q and the
// rescaling of a few partial results add another 8. So
//   fp32: u (sqrt(head_dim) (1 + logit_scale) + sqrt(n) + 8), u = 2^-24, but no more than 5e-6 for n <= 8192
//         (from there the cap grows with sqrt(n)).
//   bf16: inputs are the rounded ones on both sides; what remains is that weights are rounded to bf16 before
//         they meet V: 2^-8, the unit of bfloat16's 8-bit significand.
double RelativeTolerance(const AttentionProblem& problem, InputDataKind data);

// The same for a cell of any scope. Decoder scopes compute in fp32 whatever the type of the weights (the
// reference has the rounded weights), and each layer is a chain of a few sums like attention's: 5e-6, which
// grows over the layers of a model as a random walk, with their square root.
//
// bf16 activations are rounded on both sides at the same four places of a layer, but a value near the middle
// of two bfloat16 may fall to either: the last bits of a float32 sum decide it. Each such value is off by
// 2^-8 of itself, later roundings multiply them, and after a few layers the two sides round independently. A
// rounding errs by 2^-9 at most, 2^-8 / sqrt(12) on average; two sides and four places make 2^-8 sqrt(8 / 12)
// per layer. The bound is 2^-8, and again the layers' square root. A bf16 K/V cache rounds at four places
// more, keys, values, queries and, in its kernels, the weights of attention: the same bound by itself, and
// with bf16 activations the square root of two such, 2^-8 sqrt(2) (16 / 12 of the above is 1.15).
double CellTolerance(const Cell& cell);

// Query rows (positions in the query tensor) to compare of head (batch, head): the borders clipped to the
// range, then random rows, at most `count` in all (at least the borders); ascending, unique. Depends on head,
// so that not every head looks at the same random rows.
std::vector<int64_t> SampleRows(const std::vector<int64_t>& borders, int64_t query_tokens, int count,
                                uint64_t seed, int64_t head);

// Where errors hide: first and last row, and both sides of every chunk of contiguous and zigzag sharding
// (at most 32 chunks), of the first 8 runs that packed documents are dealt in, and of the first, middle and
// last tile border.
std::vector<int64_t> BorderRows(const Mask& mask, int64_t query_tokens, int ranks,
                                const std::vector<TileSizes>& tiles);

class AccuracyReference {
 public:
  // Collective: the ranks share the work and then all hold every row. Decoder scopes need `weights`; their
  // rows are hidden states, or the logits of the last token.
  AccuracyReference(const Communicator& communicator, const Cell& cell, const std::vector<int64_t>& borders,
                    int rows_per_head, const CellWeights* weights = nullptr);

  // Collective. `output` holds the rows and heads of `shard`. Every rank gets the result over all ranks.
  // Throws Error on every rank if a sampled row is on no rank.
  AccuracyResult Compare(const Communicator& communicator, const ConstTensorView& output,
                         const TensorShard& shard) const;

 private:
  void ChooseRows(const std::vector<int64_t>& borders, int rows_per_head, uint64_t seed);
  void ComputeAttention(const Communicator& communicator, const Cell& cell);
  void ComputeDecoder(const Communicator& communicator, const Cell& cell, const CellWeights& weights);
  void SumOverRanks(const Communicator& communicator);
  void ComputeUnit(const InputData& data, int64_t batch, int64_t kv_head, int threads);

  AttentionProblem problem_;                // decoder scopes: one head, as wide as a row
  std::vector<std::vector<int64_t>> rows_;  // of head b * query_heads + h
  std::vector<size_t> offsets_;             // of a head's first row in values_, in rows
  std::vector<double> values_;
};

}  // namespace attention

#endif  // SRC_EXPERIMENT_WORKLOAD_ACCURACY_H_
