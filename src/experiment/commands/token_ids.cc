#include "src/experiment/commands/token_ids.h"

#include <algorithm>
#include <optional>

#include "src/base/error.h"
#include "src/base/regular_file.h"
#include "src/experiment/ask/yaml_reader.h"
#include "src/mpi/agreement.h"

namespace attention {
namespace {

constexpr int64_t kMaximumFileBytes = int64_t{1} << 28;
constexpr std::string_view kSeparators = " \t\r\n,";

template <typename Function>
void ForEachId(std::string_view text, const std::string& name, const Function& function) {
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
    // One too large for 64 bits, which it saturates.
    if (id == INT64_MAX) {
      FailUsage(name, ":", line, ": ", word.substr(0, 40), " is no token id, no vocabulary is so large");
    }
    if (!id || *id < 0) {
      FailUsage(name, ":", line, ": token ids, separated by white space or commas, are expected; found '",
                word.substr(0, 40), "'");
    }
    function(*id, line);
    at += word.size();
  }
}

std::string ReadOnRankZero(const Communicator& world, const std::string& path) {
  std::string text;
  AgreeOnErrors(world, [&] {
    if (world.rank() == 0) text = ReadWholeFile(path, kMaximumFileBytes);
  });
  return world.Broadcast(text, 0);
}

}  // namespace

std::vector<int64_t> ParseTokenIds(std::string_view text, const std::string& name, size_t fewest) {
  std::vector<int64_t> ids;
  ForEachId(text, name, [&](int64_t id, int64_t) { ids.push_back(id); });
  if (ids.size() < fewest) {
    FailUsage(name, ": holds ", ids.size(), " token ids, at least ", fewest, " are needed");
  }
  return ids;
}

std::vector<int64_t> ReadTokenIds(const Communicator& world, const std::string& path, size_t fewest) {
  return ParseTokenIds(ReadOnRankZero(world, path), path, fewest);
}

std::vector<std::vector<int64_t>> ParseTexts(std::string_view text, const std::string& name) {
  std::vector<std::vector<int64_t>> texts;
  int64_t last = 0;
  ForEachId(text, name, [&](int64_t id, int64_t line) {
    if (line != last) texts.emplace_back();
    last = line;
    texts.back().push_back(id);
  });
  if (texts.empty()) FailUsage(name, ": holds no token ids; one text a line is expected");
  return texts;
}

std::vector<std::vector<int64_t>> ReadTexts(const Communicator& world, const std::string& path) {
  return ParseTexts(ReadOnRankZero(world, path), path);
}

void RequireInVocabulary(const std::vector<int64_t>& ids, int64_t vocabulary, const std::string& name) {
  for (int64_t id : ids) {
    if (id >= vocabulary) {
      FailUsage(name, ": ", id, " is not in the vocabulary, which has ", vocabulary, " tokens");
    }
  }
}

}  // namespace attention
