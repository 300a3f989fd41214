// What `benchmark_qwen3 --generate` is to run.
#ifndef SRC_EXPERIMENT_COMMANDS_GENERATE_REQUEST_H_
#define SRC_EXPERIMENT_COMMANDS_GENERATE_REQUEST_H_

#include <cstdint>
#include <vector>

#include "src/experiment/ask/experiment_spec.h"

namespace attention {

struct GenerateRequest {
  ExperimentSpec spec;          // one cell of scope model, prefill; its seq_len is the prompt's
  std::vector<int64_t> prompt;  // token ids; empty: seq_len seeded ones
  int64_t count = 0;            // tokens to generate; the end of a text is not looked for
};

}  // namespace attention

#endif  // SRC_EXPERIMENT_COMMANDS_GENERATE_REQUEST_H_
