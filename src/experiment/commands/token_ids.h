// Token ids given as text: a prompt, or a text to score.
#ifndef SRC_EXPERIMENT_COMMANDS_TOKEN_IDS_H_
#define SRC_EXPERIMENT_COMMANDS_TOKEN_IDS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/mpi/communicator.h"

namespace attention {

// Ids separated by white space or commas, at least `fewest`. Throws Error (bad usage), "NAME:LINE: ...", if
// something else stands there, and "NAME: ..." if there are fewer.
std::vector<int64_t> ParseTokenIds(std::string_view text, const std::string& name, size_t fewest);

// Collective: rank 0 reads the file, all get its ids. Throws the same Error on every rank.
std::vector<int64_t> ReadTokenIds(const Communicator& world, const std::string& path, size_t fewest);

// Several texts: the ids of each line that has any. The same errors, fewer than one text among them.
std::vector<std::vector<int64_t>> ParseTexts(std::string_view text, const std::string& name);
// Collective: rank 0 reads the file. Throws the same Error on every rank.
std::vector<std::vector<int64_t>> ReadTexts(const Communicator& world, const std::string& path);

// Throws Error (bad usage), "NAME: ...", at the first that is not below `vocabulary`.
void RequireInVocabulary(const std::vector<int64_t>& ids, int64_t vocabulary, const std::string& name);

}  // namespace attention

#endif  // SRC_EXPERIMENT_COMMANDS_TOKEN_IDS_H_
