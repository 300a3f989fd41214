// What the tests of strategies share: inputs from the counter-based generator, the float64 answer, and one
// run of a strategy on this rank's shards.
#ifndef SRC_PARALLEL_TESTING_ATTENTION_TEST_CASE_H_
#define SRC_PARALLEL_TESTING_ATTENTION_TEST_CASE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "src/mpi/communicator.h"
#include "src/parallel/contracts/distributed_attention.h"

namespace attention {

// Whole tensors, the same on every rank: [batch, heads, tokens, head_dim], and the exact output.
struct TestData {
  AttentionProblem problem;
  std::vector<float> q, k, v;
  std::vector<double> expected;
};

// Collective over `workers`, which divide the rows of the reference among them. `key_growth` g multiplies key
// t of S by 1 + g t / S: later keys have ever larger logits (smaller ones before, if negative), up to about 5
// g.
TestData MakeTestData(const Communicator& workers, const AttentionProblem& problem, double key_growth = 0);

struct TestCase {
  AttentionProblem problem;
  Variant variant;
  Contract contract = Contract::kNative;
  ExecutionOptions options;
  bool token_major = false;  // storage of the shards
  bool in_place = false;     // Q, K, V and output where the exchange would have them
  // Before the run another one with values of the other sign, after which ranks begin ten milliseconds apart:
  // who takes what is left from then for what has to come is far off.
  bool begin_apart = false;
  bool run_parts = true;  // also the exchange alone and the computation alone
};
std::string Name(const TestCase& test_case);

struct TestResult {
  double relative_l2_error = 0;  // over the output rows of this rank; 0 if it has none
  double tolerance = 0;
  int64_t bytes_sent = 0;  // counted
  int64_t bytes_by_formula = 0;
  int64_t shard_bytes = 0;  // of Q, K, V and output on this rank
  int64_t shard_bytes_by_formula = 0;
  int64_t workspace_bytes = 0;
  int64_t buffer_bytes_by_formula = 0;  // without the kernel's workspace
  int64_t bytes_exchange_only = 0;      // counted in RunExchangeOnly
  int64_t bytes_compute_only = 0;       // counted in RunComputeOnly
  std::vector<float> output;            // this rank's shard, [batch, heads, local tokens, head_dim]
};

// Collective over `ranks`. Output memory is NaN before the run: a row that nobody writes is an error.
TestResult RunTestCase(Communicator& ranks, const TestCase& test_case, const TestData& data);

}  // namespace attention

#endif  // SRC_PARALLEL_TESTING_ATTENTION_TEST_CASE_H_
