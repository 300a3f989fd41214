#include "src/experiment/commands/embedding.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <vector>

#include "src/base/error.h"
#include "src/experiment/commands/placed_model.h"
#include "src/experiment/commands/token_ids.h"
#include "src/mpi/agreement.h"

namespace attention {

std::string EmbeddingLine(std::span<const float> hidden) {
  double squares = 0;
  for (float value : hidden) squares += static_cast<double>(value) * value;
  const double norm = std::sqrt(squares);
  if (!std::isfinite(norm) || norm == 0)
    Fail("embedding: hidden states of norm ", norm, " have no direction");
  std::string line = "embedding ";
  for (size_t i = 0; i < hidden.size(); ++i) {
    char number[32];
    std::snprintf(number, sizeof number, "%s%.9g", i == 0 ? "" : ",", hidden[i] / norm);
    line += number;
  }
  return line + "\n";
}

void EmbedTexts(const Communicator& world, EmbedRequest request, BackendFactory backend,
                const std::function<void(const std::string&)>& progress,
                const std::function<void(const std::string&)>& print) {
  const std::vector<std::vector<int64_t>> texts = ReadTexts(world, request.ids_file);
  int64_t longest = 0, tokens = 0;
  for (const std::vector<int64_t>& ids : texts) {
    longest = std::max(longest, static_cast<int64_t>(ids.size()));
    tokens += static_cast<int64_t>(ids.size());
  }
  request.spec.axes["seq_len"] = {{std::to_string(longest), request.ids_file}};
  PlacedModel placed(world, request.spec, backend);
  AgreeOnErrors(world, [&] {
    for (const std::vector<int64_t>& ids : texts) {
      RequireInVocabulary(ids, placed.cell().model.vocabulary_size, request.ids_file);
    }
  });
  const std::unique_ptr<Qwen3Model> model = placed.Load(longest, progress);
  const auto say = [&](const std::string& text) {
    if (world.rank() == 0) print(text);
  };
  say(placed.Describe() + "\n");
  const Pooling pooling = request.averages ? Pooling::kMean : Pooling::kLastToken;
  const double seconds = TimeOnAllRanks(placed.group(), [&] {
    for (const std::vector<int64_t>& ids : texts) {
      model->Prefill(ids);
      // The same on every rank, and so is its error.
      say(EmbeddingLine(model->PooledHidden(pooling)));
    }
  });
  say(RateLine("texts", seconds, tokens));
}

}  // namespace attention
