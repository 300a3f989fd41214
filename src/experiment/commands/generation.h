// Greedy generation from token ids, timed: `benchmark_qwen3 --generate N`.
#ifndef SRC_EXPERIMENT_COMMANDS_GENERATION_H_
#define SRC_EXPERIMENT_COMMANDS_GENERATION_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "src/attention/attention_backend.h"
#include "src/experiment/ask/experiment_spec.h"
#include "src/mpi/communicator.h"

namespace attention {

struct GenerateRequest {
  ExperimentSpec spec;          // one cell of scope model, prefill; its seq_len is the prompt's
  std::vector<int64_t> prompt;  // token ids; empty: seq_len seeded ones
  int64_t count = 0;            // tokens to generate; the end of a text is not looked for
};

struct GenerateResult {
  std::string run;  // what ran, in a line
  std::vector<int64_t> prompt;
  std::vector<int64_t> generated;
  double prefill_s = 0;  // prompt to first token, on the slowest rank
  double decode_s = 0;   // the other tokens
};

// Collective over `world`, all of which take part; spec.weights are attached. `progress` (may be empty) gets
// lines while loading, on rank 0. Throws the same Error on every rank.
GenerateResult GenerateGreedily(const Communicator& world, const GenerateRequest& request,
                                BackendFactory backend,
                                const std::function<void(const std::string&)>& progress);

std::string GenerateReport(const GenerateResult& result);

}  // namespace attention

#endif  // SRC_EXPERIMENT_COMMANDS_GENERATION_H_
