// What `benchmark_qwen3 --embed FILE` is to run.
#ifndef SRC_EXPERIMENT_COMMANDS_EMBED_REQUEST_H_
#define SRC_EXPERIMENT_COMMANDS_EMBED_REQUEST_H_

#include <string>

#include "src/experiment/ask/experiment_spec.h"

namespace attention {

struct EmbedRequest {
  ExperimentSpec spec;    // one cell of scope model, prefill; its seq_len is that of the longest text
  std::string ids_file;   // token ids, one text a line
  bool averages = false;  // over the tokens of a text; else its last token counts
};

}  // namespace attention

#endif  // SRC_EXPERIMENT_COMMANDS_EMBED_REQUEST_H_
