// Greedy generation from token ids, timed: `benchmark_qwen3 --generate N`.
#ifndef SRC_EXPERIMENT_COMMANDS_GENERATION_H_
#define SRC_EXPERIMENT_COMMANDS_GENERATION_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "src/attention/attention_backend.h"
#include "src/experiment/commands/generate_request.h"
#include "src/mpi/communicator.h"

namespace attention {

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
