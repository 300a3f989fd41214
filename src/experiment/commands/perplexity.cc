#include "src/experiment/commands/perplexity.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>

#include "src/base/error.h"
#include "src/base/regular_file.h"
#include "src/experiment/ask/yaml_reader.h"
#include "src/experiment/commands/placed_model.h"
#include "src/mpi/agreement.h"

namespace attention {
namespace {

constexpr int64_t kMaximumFileBytes = int64_t{1} << 28;
constexpr std::string_view kSeparators = " \t\r\n,";

// The text, the same on every rank; its ids are in the vocabulary.
std::vector<int64_t> ReadIds(const Communicator& world, const std::string& path, int64_t vocabulary) {
  std::string text;
  AgreeOnErrors(world, [&] {
    if (world.rank() == 0) text = ReadWholeFile(path, kMaximumFileBytes);
  });
  text = world.Broadcast(text, 0);
  std::vector<int64_t> ids = ParseTokenIds(text, path);
  for (int64_t id : ids) {
    if (id < vocabulary) continue;
    FailUsage(path, ": ", id, " is not in the vocabulary, which has ", vocabulary, " tokens");
  }
  return ids;
}

}  // namespace

double PerplexityResult::perplexity() const { return std::exp(mean_nats); }

std::vector<ScoredWindow> ScoredWindows(int64_t tokens, int64_t window) {
  Require(tokens >= 2 && window >= 2, "perplexity of ", tokens, " tokens in windows of ", window);
  const int64_t stride = window - window / 2;
  std::vector<ScoredWindow> windows;
  for (int64_t begin = 0, scored = 1; scored < tokens; begin += stride) {
    const int64_t end = std::min(begin + window, tokens);
    windows.push_back({begin, end, scored});
    scored = end;
  }
  return windows;
}

std::vector<int64_t> ParseTokenIds(std::string_view text, const std::string& name) {
  std::vector<int64_t> ids;
  int64_t line = 1;
  for (size_t at = 0; at < text.size();) {
    if (kSeparators.find(text[at]) != std::string_view::npos) {
      if (text[at] == '\n') ++line;
      ++at;
      continue;
    }
    const std::string_view word =
        text.substr(at, std::min(text.find_first_of(kSeparators, at), text.size()) - at);
    const std::optional<int64_t> id = ParseInteger(word);
    if (!id || *id < 0) {
      FailUsage(name, ":", line, ": token ids, separated by white space or commas, are expected; found '",
                word.substr(0, 40), "'");
    }
    ids.push_back(*id);
    at += word.size();
  }
  if (ids.size() < 2) FailUsage(name, ": holds ", ids.size(), " token ids, at least 2 are needed");
  return ids;
}

PerplexityResult MeasurePerplexity(const Communicator& world, const PerplexityRequest& request,
                                   BackendFactory backend,
                                   const std::function<void(const std::string&)>& progress) {
  PlacedModel placed(world, request.spec, backend);
  PerplexityResult result;
  result.ids_file = request.ids_file;
  const std::vector<int64_t> ids = ReadIds(world, request.ids_file, placed.cell().model.vocabulary_size);
  result.tokens = static_cast<int64_t>(ids.size());
  result.window = std::min<int64_t>(placed.cell().seq_len, result.tokens);
  const std::vector<ScoredWindow> windows = ScoredWindows(result.tokens, result.window);
  result.windows = static_cast<int64_t>(windows.size());
  const std::unique_ptr<Qwen3Model> model = placed.Load(result.window, progress);
  result.run = placed.Describe();
  double sum = 0, squares = 0;
  result.seconds = TimeOnAllRanks(placed.group(), [&] {
    for (const ScoredWindow& window : windows) {
      const auto tokens = std::span(ids).subspan(static_cast<size_t>(window.begin),
                                                 static_cast<size_t>(window.end - window.begin));
      model->Prefill(tokens);
      const std::vector<double> logs = model->NextTokenLogProbabilities(tokens);
      for (int64_t token = window.scored_from; token < window.end; ++token) {
        const double nats = -logs[static_cast<size_t>(token - 1 - window.begin)];
        sum += nats;
        squares += nats * nats;
        ++result.scored;
      }
      if (world.rank() == 0 && progress) {
        progress(internal::Concatenate("scored ", result.scored, " of ", result.tokens - 1, " tokens"));
      }
    }
  });
  const double scored = static_cast<double>(result.scored);
  result.mean_nats = sum / scored;
  const double variance = std::max(0.0, squares / scored - result.mean_nats * result.mean_nats);
  result.standard_error = std::sqrt(variance / scored);
  return result;
}

std::string PerplexityReport(const PerplexityResult& result) {
  char line[200];
  std::snprintf(line, sizeof line,
                "perplexity %.4f (mean negative log-likelihood %.5f nats a token, standard error %.5f)\n",
                result.perplexity(), result.mean_nats, result.standard_error);
  return internal::Concatenate(result.run, "\n", result.ids_file, ", ", result.tokens, " tokens in ",
                               result.windows, " windows of up to ", result.window, "; ", result.scored,
                               " scored\n") +
         line + RateLine("scoring", result.seconds, result.scored);
}

}  // namespace attention
