// How well a model predicts a text that is given as token ids: `benchmark_qwen3 --perplexity FILE`.
//
// The definition is that of Hugging Face's "Perplexity of fixed-length models": the text goes through in
// windows, each half a window further than the one before, and of each those tokens are scored that no window
// scored before. So every token but the first is scored once, and all but those of the first window with at
// least half a window before them. Perplexity is exp of the mean of -ln p(token | those before it).
#ifndef SRC_EXPERIMENT_COMMANDS_PERPLEXITY_H_
#define SRC_EXPERIMENT_COMMANDS_PERPLEXITY_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "src/attention/attention_backend.h"
#include "src/experiment/commands/perplexity_request.h"
#include "src/mpi/communicator.h"

namespace attention {

// One window: tokens [begin, end) go through the model, tokens [scored_from, end) are scored.
struct ScoredWindow {
  int64_t begin, end, scored_from;
  bool operator==(const ScoredWindow&) const = default;
};
// At least two tokens, and a window of at least two.
std::vector<ScoredWindow> ScoredWindows(int64_t tokens, int64_t window);

struct ScoredToken {
  int64_t place;  // in the file, from 0
  int64_t id;
  double nats;  // -ln p
};

struct PerplexityResult {
  std::string run;  // what ran, in a line
  std::string ids_file;
  int64_t tokens = 0, window = 0, windows = 0;
  int64_t scored = 0;
  double mean_nats = 0;           // of -ln p
  double standard_error = 0;      // of the mean, as if tokens were independent
  double seconds = 0;             // all windows, on the slowest rank
  std::vector<ScoredToken> each;  // if asked for
  double perplexity() const;
};

// Collective over `world`, all of which take part; spec.weights are attached. Rank 0 reads the file.
// `progress` (may be empty) gets lines, on rank 0. Throws the same Error on every rank.
PerplexityResult MeasurePerplexity(const Communicator& world, const PerplexityRequest& request,
                                   BackendFactory backend,
                                   const std::function<void(const std::string&)>& progress);

// A line `token PLACE ID NATS` for each of result.each, then what ran and the whole.
std::string PerplexityReport(const PerplexityResult& result);

}  // namespace attention

#endif  // SRC_EXPERIMENT_COMMANDS_PERPLEXITY_H_
