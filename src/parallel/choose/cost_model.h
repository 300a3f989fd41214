// What a distributed attention will take, from the rates of a machine: a pure function, the same on every
// rank, which moves nothing and computes nothing.
//
// Bytes are those of the exchange's row (strategy/exchange.h) and of what the mask lets travel
// (partition/key_travel.h), work is visible pairs (partition/visible_pairs.h); both are exact. Time comes
// from three rates (rates.h): c(step) = call + pairs / rate of the step's shape; x(messages) = latency of
// each + bytes / bandwidth (Hockney 1994); and u, the part of a transfer that computing beside it pays for
// all the same. What overlaps with what follows the code of exchanges/ and contracts/; that a hop of a ring
// takes the longer of computing and exchange is the condition of Liu, Zaharia, Abbeel (2023).
//
//   beside(c, x) = max(c + u x, x)                  x travels while c is computed
//   ring          rank r begins step h + 1 when it has done step h, and when the keys of hop h + 1 have come,
//                 which leave when both ends have begun step h: its time is the longest path through that
//                 recursion, so an unequal share of a contiguous causal ring is waited for where it is met
//   allgather     beside(own keys, all that arrive) + the others' keys; an exact softmax: x, then all of it
//   merge         beside(own queries over own keys, queries that arrive), then the others' queries, each
//                 partial state on its way home beside the next step; the last one is exposed, and the merge
//   mesh          beside(the row's queries over own keys, all that arrives), then over the column's keys, the
//                 own queries last, beside the states on their way home
//   shared        sequence: a ring of nodes, each as slow as its slowest rank, of the keys of all of its
//   ranks;
//                 headwise: a gather of outputs between nodes. Either with two barriers of the node or more,
//                 and with tensors where the exchange would have them, so that nothing is copied
//   all-to-all    in n pieces by heads: x_in of the first + (n - 1) beside(c, x_in + x_out) + c + x_out
//   gather        of outputs in n pieces: c + (n - 1) beside(c, x) + x
//   decode        c + x(partial states) + merging of P states (+ gather of heads inside a grid); of a tree, x
//                 is one state a level, one after the other
//
// c and x of a piece are 1/n of the whole. The prediction is that of the slowest rank. Not in it: caches that
// are warm or cold, noise, ranks of different speed.
#ifndef SRC_PARALLEL_CHOOSE_COST_MODEL_H_
#define SRC_PARALLEL_CHOOSE_COST_MODEL_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "src/parallel/choose/rates.h"
#include "src/parallel/partition/attention_plan.h"
#include "src/parallel/strategy/strategy.h"

namespace attention {

// One call of a rank's kernel: queries of some heads over keys.
struct KernelStep {
  AttentionAlgorithm algorithm = AttentionAlgorithm::kOnlineSoftmax;
  TokenSegments queries, keys;
  int64_t query_heads = 0;
  int64_t kv_heads = 0;
  double pairs = 0;  // visible ones of one head

  double rows() const { return static_cast<double>(TokenCount(queries)); }
  double key_count() const { return static_cast<double>(TokenCount(keys)); }
  double density() const { return pairs / (rows() * key_count()); }
  double heads_per_kv_head() const {
    return static_cast<double>(query_heads) / static_cast<double>(kv_heads);
  }
};

// Where it runs.
struct Machine {
  // The node of each rank, by rank: any numbers, equal for ranks of one node.
  std::vector<int> node_of_rank;
  int threads = 1;
  Rates rates;

  int ranks() const { return static_cast<int>(node_of_rank.size()); }
};

struct Prediction {
  Variant variant;
  double seconds = 0;     // of the slowest rank
  double compute_s = 0;   // its kernels alone, the most of any rank
  double exchange_s = 0;  // its transfers alone, the most of any rank
  int64_t bytes = 0;      // of the rank that sends most, as MostBytesSent estimates it
};

// The most ranks that are priced: of each pair of ranks the keys are looked at.
inline constexpr int kMostRanksPriced = 1024;

// Throws Error (bad usage): the combination is not valid (the table's own words), there are too many ranks,
// or machine.rates has no kernel of the algorithm.
Prediction Predict(const AttentionProblem& problem, const Variant& variant, Contract contract,
                   const Machine& machine);

// Calls use(step) with every step that Predict asks a rate for, empty ones left out: what a probe has to
// measure.
void ForEachStep(const AttentionProblem& problem, const Variant& variant, Contract contract,
                 const std::vector<int>& node_of_rank, int threads,
                 const std::function<void(const KernelStep& step)>& use);

// How unlike a measured shape is to a step, 0 if they are the same: distances of rows, keys and heads per KV
// head in octaves, and four times that of density.
double Unlikeness(const KernelRate& rate, const KernelStep& step);
// Whether one measurement serves both: within a third of an octave in rows or keys, or a twelfth in density.
bool AreAlike(const KernelRate& rate, const KernelStep& step);

}  // namespace attention

#endif  // SRC_PARALLEL_CHOOSE_COST_MODEL_H_
