#include "src/experiment/commands/generation.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "src/experiment/commands/placed_model.h"
#include "src/experiment/commands/token_ids.h"
#include "src/mpi/agreement.h"
#include "src/qwen3/decoder/decoder_inputs.h"

namespace attention {
namespace {

std::vector<int64_t> SeededPrompt(const Cell& cell) {
  std::vector<int64_t> ids;
  for (int64_t row = 0; row < cell.seq_len; ++row) {
    ids.push_back(SeededTokenId(cell.seed, row, cell.model.vocabulary_size));
  }
  return ids;
}

void RequireKnownIds(const GenerateRequest& request, int64_t vocabulary) {
  RequireInVocabulary(request.prompt, vocabulary,
                      request.prompt_file.empty() ? "--prompt-ids" : request.prompt_file);
  RequireInVocabulary(request.stop_ids, vocabulary, "--stop-ids");
}

std::string IdsText(const std::vector<int64_t>& ids) {
  std::string text;
  for (int64_t id : ids) text += (text.empty() ? "" : ",") + std::to_string(id);
  return text;
}

}  // namespace

void GenerateGreedily(const Communicator& world, GenerateRequest request, BackendFactory backend,
                      const std::function<void(const std::string&)>& progress,
                      const std::function<void(const std::string&)>& print) {
  if (!request.prompt_file.empty()) {
    request.prompt = ReadTokenIds(world, request.prompt_file, 1);
    request.spec.axes["seq_len"] = {{std::to_string(request.prompt.size()), "--prompt-file"}};
  }
  PlacedModel placed(world, request.spec, backend);
  AgreeOnErrors(world, [&] { RequireKnownIds(request, placed.cell().model.vocabulary_size); });
  if (request.prompt.empty()) request.prompt = SeededPrompt(placed.cell());
  const auto prompt_tokens = static_cast<int64_t>(request.prompt.size());
  const std::unique_ptr<Qwen3Model> model = placed.Load(prompt_tokens + request.count, progress);
  const auto say = [&](const std::string& text) {
    if (world.rank() == 0) print(text);
  };
  int64_t last = 0, generated = 1;
  const double prefill_s = TimeOnAllRanks(placed.group(), [&] {
    model->Prefill(request.prompt);
    last = model->GreedyNextTokens().front();
  });
  say(placed.Describe() + "\nprompt " + IdsText(request.prompt) + "\ngenerated " + std::to_string(last));
  const auto& stops = request.stop_ids;
  const double decode_s = TimeOnAllRanks(placed.group(), [&] {
    // Every rank has the same tokens, so all end at the same one.
    while (generated < request.count && std::find(stops.begin(), stops.end(), last) == stops.end()) {
      model->Decode({&last, 1});
      last = model->GreedyNextTokens().front();
      ++generated;
      say("," + std::to_string(last));
    }
  });
  say("\n" + RateLine("prefill", prefill_s, prompt_tokens) +
      (generated > 1 ? RateLine("decode", decode_s, generated - 1) : ""));
}

}  // namespace attention
