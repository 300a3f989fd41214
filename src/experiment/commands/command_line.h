// The binary's options.
#ifndef SRC_EXPERIMENT_COMMANDS_COMMAND_LINE_H_
#define SRC_EXPERIMENT_COMMANDS_COMMAND_LINE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/experiment/ask/experiment_spec.h"
#include "src/experiment/commands/embed_request.h"
#include "src/experiment/commands/generate_request.h"
#include "src/experiment/commands/perplexity_request.h"
#include "src/qwen3/verify_request.h"

namespace attention {

struct CommandLine {
  enum class Mode {
    kRun,
    kDryRun,
    kExplain,
    kPrintGeometry,
    kVerify,
    kGenerate,
    kPerplexity,
    kEmbed,
    kList,
    kListColumns,
    kHelp,
    kVersion
  };
  Mode mode = Mode::kRun;
  std::string experiment;  // file; "" = one-off run, or that of the resumed directory
  std::string profile;     // of the file; "" = what the file itself chooses
  std::string output;
  std::string resume;
  int launch = 0;
  std::string cells;  // file with the ids of the cells to measure; "" = all
  std::optional<uint64_t> order_seed;
  int launches = 0;              // 0: what the file says
  std::string verify;            // file to check against
  VerifyRequest verify_request;  // what of it was named; ISAs empty = every one of this machine
  GenerateRequest generate;
  PerplexityRequest perplexity;
  EmbedRequest embed;
  std::optional<ExperimentSpec> one_off;  // of the options, when there is no file
  std::vector<std::string> notes;         // deprecated spellings, for stderr
};

// argv without the program's name. `default_threads`: what --threads is when not given. Throws Error (bad
// usage): "--option: what is wrong, what is allowed; did you mean X?".
CommandLine ParseCommandLine(const std::vector<std::string>& arguments, int default_threads, int ranks);

}  // namespace attention

#endif  // SRC_EXPERIMENT_COMMANDS_COMMAND_LINE_H_
