#include "src/qwen3/checkpoint/content_digest.h"

#include <algorithm>

// Its functions into this file: the library itself need not be linked.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace attention {

uint64_t ContentDigest(std::span<const std::byte> bytes) { return XXH64(bytes.data(), bytes.size(), 0); }

std::vector<uint64_t> PieceDigests(const std::vector<std::span<const std::byte>>& parts, uint64_t first,
                                   uint64_t stride) {
  std::vector<uint64_t> digests;
  for (const std::span<const std::byte> part : parts) {
    for (size_t begin = 0; begin < part.size(); begin += kDigestPiece) {
      const bool mine = digests.size() % stride == first;
      const size_t size = std::min(kDigestPiece, part.size() - begin);
      digests.push_back(mine ? ContentDigest(part.subspan(begin, size)) : 0);
    }
  }
  return digests;
}

}  // namespace attention
