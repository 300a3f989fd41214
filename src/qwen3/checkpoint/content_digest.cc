#include "src/qwen3/checkpoint/content_digest.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace attention {
namespace {

constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87u, kPrime2 = 0xC2B2AE3D27D4EB4Fu,
                   kPrime3 = 0x165667B19E3779F9u, kPrime4 = 0x85EBCA77C2B2AE63u,
                   kPrime5 = 0x27D4EB2F165667C5u;

uint64_t Round(uint64_t lane, uint64_t word) { return std::rotl(lane + word * kPrime2, 31) * kPrime1; }

uint64_t Merge(uint64_t digest, uint64_t lane) { return (digest ^ Round(0, lane)) * kPrime1 + kPrime4; }

template <typename Word>
uint64_t Take(std::span<const std::byte>& bytes) {
  Word word;
  std::memcpy(&word, bytes.data(), sizeof word);
  bytes = bytes.subspan(sizeof word);
  return word;
}

}  // namespace

uint64_t ContentDigest(std::span<const std::byte> bytes) {
  const uint64_t size = bytes.size();
  uint64_t digest = kPrime5;
  if (size >= 32) {
    // Four chains, because a multiplication is waited for.
    std::array<uint64_t, 4> lanes = {kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1};
    while (bytes.size() >= 32) {
      for (uint64_t& lane : lanes) lane = Round(lane, Take<uint64_t>(bytes));
    }
    digest =
        std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
    for (uint64_t lane : lanes) digest = Merge(digest, lane);
  }
  digest += size;
  while (bytes.size() >= 8)
    digest = std::rotl(digest ^ Round(0, Take<uint64_t>(bytes)), 27) * kPrime1 + kPrime4;
  if (bytes.size() >= 4) digest = std::rotl(digest ^ Take<uint32_t>(bytes) * kPrime1, 23) * kPrime2 + kPrime3;
  while (!bytes.empty()) digest = std::rotl(digest ^ Take<uint8_t>(bytes) * kPrime5, 11) * kPrime1;
  digest = (digest ^ digest >> 33) * kPrime2;
  digest = (digest ^ digest >> 29) * kPrime3;
  return digest ^ digest >> 32;
}

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
