// What `benchmark_qwen3 --generate` is to run.
#ifndef SRC_EXPERIMENT_COMMANDS_GENERATE_REQUEST_H_
#define SRC_EXPERIMENT_COMMANDS_GENERATE_REQUEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "src/experiment/ask/experiment_spec.h"

namespace attention {

struct GenerateRequest {
  ExperimentSpec spec;            // one cell of scope model, prefill; its seq_len is the prompt's
  std::vector<int64_t> prompt;    // token ids; empty: those of the file, or seq_len seeded ones
  std::string prompt_file;        // token ids, separated by white space or commas; empty: none
  int64_t count = 0;              // tokens to generate at most
  std::vector<int64_t> stop_ids;  // the first of these to be generated is the last token
};

}  // namespace attention

#endif  // SRC_EXPERIMENT_COMMANDS_GENERATE_REQUEST_H_
