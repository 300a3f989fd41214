// Greedy generation from token ids, timed: `benchmark_qwen3 --generate N`.
#ifndef SRC_EXPERIMENT_COMMANDS_GENERATION_H_
#define SRC_EXPERIMENT_COMMANDS_GENERATION_H_

#include <functional>
#include <string>

#include "src/attention/attention_backend.h"
#include "src/experiment/commands/generate_request.h"
#include "src/mpi/communicator.h"

namespace attention {

// Collective over `world`, all of which take part; spec.weights are attached. `progress` (may be empty) gets
// lines while loading, on rank 0. `print` gets the report on rank 0, in pieces: what ran and the prompt's ids
// once the first token is known, each id as soon as it is known, the rates at the end:
//
//   RUN
//   prompt 1,2,3
//   generated 4,5,6
//   prefill 0.0123 s, 3 tokens, 243.9 tokens/s
//   decode 0.0456 s, 2 tokens, 43.9 tokens/s      (if there is more than one token)
//
// Throws the same Error on every rank; one after the first token leaves the report broken off.
void GenerateGreedily(const Communicator& world, GenerateRequest request, BackendFactory backend,
                      const std::function<void(const std::string&)>& progress,
                      const std::function<void(const std::string&)>& print);

}  // namespace attention

#endif  // SRC_EXPERIMENT_COMMANDS_GENERATION_H_
