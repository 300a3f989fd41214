// Tells weights apart by every byte of theirs, at the speed of memory and with the work dealt over ranks.
#ifndef SRC_QWEN3_CHECKPOINT_CONTENT_DIGEST_H_
#define SRC_QWEN3_CHECKPOINT_CONTENT_DIGEST_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace attention {

// XXH64 with seed 0 (Collet, the xxHash specification). Not a cryptographic hash: SHA-256 of a model of 16 GB
// takes over a minute on a core, and what is asked is whether two files are the same, not whether someone
// made two that only seem so.
uint64_t ContentDigest(std::span<const std::byte> bytes);

// Digests of consecutive pieces of kDigestPiece bytes of each of `parts`, one list. Of the pieces, those
// whose number in the list is `first` plus a multiple of `stride` are computed, the others are 0: the sum
// over first = 0 ... stride - 1 is the whole list.
inline constexpr size_t kDigestPiece = size_t{4} << 20;
std::vector<uint64_t> PieceDigests(const std::vector<std::span<const std::byte>>& parts, uint64_t first,
                                   uint64_t stride);

}  // namespace attention

#endif  // SRC_QWEN3_CHECKPOINT_CONTENT_DIGEST_H_
