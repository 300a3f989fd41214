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

}  // namespace

std::vector<int64_t> ParseTokenIds(std::string_view text, const std::string& name, size_t fewest) {
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
  if (ids.size() < fewest) {
    FailUsage(name, ": holds ", ids.size(), " token ids, at least ", fewest, " are needed");
  }
  return ids;
}

std::vector<int64_t> ReadTokenIds(const Communicator& world, const std::string& path, size_t fewest) {
  std::string text;
  AgreeOnErrors(world, [&] {
    if (world.rank() == 0) text = ReadWholeFile(path, kMaximumFileBytes);
  });
  return ParseTokenIds(world.Broadcast(text, 0), path, fewest);
}

void RequireInVocabulary(const std::vector<int64_t>& ids, int64_t vocabulary, const std::string& name) {
  for (int64_t id : ids) {
    if (id >= vocabulary) {
      FailUsage(name, ": ", id, " is not in the vocabulary, which has ", vocabulary, " tokens");
    }
  }
}

}  // namespace attention
