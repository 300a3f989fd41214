// What `benchmark_qwen3 --perplexity FILE` is to run.
#ifndef SRC_EXPERIMENT_COMMANDS_PERPLEXITY_REQUEST_H_
#define SRC_EXPERIMENT_COMMANDS_PERPLEXITY_REQUEST_H_

#include <string>

#include "src/experiment/ask/experiment_spec.h"

namespace attention {

struct PerplexityRequest {
  ExperimentSpec spec;      // one cell of scope model, prefill; its seq_len is the window
  std::string ids_file;     // token ids, separated by white space or commas
  bool each_token = false;  // the result has what each token scored
};

}  // namespace attention

#endif  // SRC_EXPERIMENT_COMMANDS_PERPLEXITY_REQUEST_H_
