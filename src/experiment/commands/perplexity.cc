#include "src/experiment/commands/perplexity.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <span>

#include "src/base/error.h"
#include "src/experiment/commands/placed_model.h"
#include "src/experiment/commands/token_ids.h"

namespace attention {
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

PerplexityResult MeasurePerplexity(const Communicator& world, const PerplexityRequest& request,
                                   BackendFactory backend,
                                   const std::function<void(const std::string&)>& progress) {
  PlacedModel placed(world, request.spec, backend);
  PerplexityResult result;
  result.ids_file = request.ids_file;
  const std::vector<int64_t> ids = ReadTokenIds(world, request.ids_file, 2);
  RequireInVocabulary(ids, placed.cell().model.vocabulary_size, request.ids_file);
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
        if (request.each_token) result.each.push_back({token, ids[static_cast<size_t>(token)], nats});
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
  std::string tokens;
  for (const ScoredToken& token : result.each) {
    std::snprintf(line, sizeof line, "token %lld %lld %.7f\n", static_cast<long long>(token.place),
                  static_cast<long long>(token.id), token.nats);
    tokens += line;
  }
  std::snprintf(line, sizeof line,
                "perplexity %.4f (mean negative log-likelihood %.5f nats a token, standard error %.5f)\n",
                result.perplexity(), result.mean_nats, result.standard_error);
  return tokens +
         internal::Concatenate(result.run, "\n", result.ids_file, ", ", result.tokens, " tokens in ",
                               result.windows, " windows of up to ", result.window, "; ", result.scored,
                               " scored\n") +
         line + RateLine("scoring", result.seconds, result.scored);
}

}  // namespace attention
