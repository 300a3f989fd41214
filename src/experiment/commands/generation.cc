#include "src/experiment/commands/generation.h"

#include <memory>

#include "src/base/error.h"
#include "src/experiment/commands/placed_model.h"
#include "src/mpi/agreement.h"
#include "src/qwen3/decoder/decoder_inputs.h"

namespace attention {
namespace {

// The prompt, the same on every rank; its ids are in the vocabulary.
std::vector<int64_t> PromptOf(const GenerateRequest& request, const Cell& cell) {
  const int64_t vocabulary = cell.model.vocabulary_size;
  std::vector<int64_t> ids = request.prompt;
  for (int64_t row = 0; request.prompt.empty() && row < cell.seq_len; ++row) {
    ids.push_back(SeededTokenId(cell.seed, row, vocabulary));
  }
  for (int64_t id : ids) {
    if (id >= vocabulary) {
      FailUsage("--prompt-ids: ", id, " is not in the vocabulary, which has ", vocabulary, " tokens");
    }
  }
  return ids;
}

std::string IdsText(const std::vector<int64_t>& ids) {
  std::string text;
  for (int64_t id : ids) text += (text.empty() ? "" : ",") + std::to_string(id);
  return text;
}

}  // namespace

GenerateResult GenerateGreedily(const Communicator& world, const GenerateRequest& request,
                                BackendFactory backend,
                                const std::function<void(const std::string&)>& progress) {
  PlacedModel placed(world, request.spec, backend);
  Communicator& group = placed.group();
  GenerateResult result;
  AgreeOnErrors(world, [&] { result.prompt = PromptOf(request, placed.cell()); });
  const std::unique_ptr<Qwen3Model> model =
      placed.Load(static_cast<int64_t>(result.prompt.size()) + request.count, progress);
  result.run = placed.Describe();
  std::vector<int64_t>& generated = result.generated;
  result.prefill_s = TimeOnAllRanks(group, [&] {
    model->Prefill(result.prompt);
    generated = model->GreedyNextTokens();
  });
  generated.reserve(static_cast<size_t>(request.count));
  result.decode_s = TimeOnAllRanks(group, [&] {
    while (static_cast<int64_t>(generated.size()) < request.count) {
      const int64_t last = generated.back();
      model->Decode({&last, 1});
      generated.push_back(model->GreedyNextTokens().front());
    }
  });
  return result;
}

std::string GenerateReport(const GenerateResult& result) {
  const int64_t decoded = static_cast<int64_t>(result.generated.size()) - 1;
  return result.run + "\nprompt " + IdsText(result.prompt) + "\ngenerated " + IdsText(result.generated) +
         "\n" + RateLine("prefill", result.prefill_s, static_cast<int64_t>(result.prompt.size())) +
         (decoded > 0 ? RateLine("decode", result.decode_s, decoded) : "");
}

}  // namespace attention
