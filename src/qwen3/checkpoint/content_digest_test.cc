#include "src/qwen3/checkpoint/content_digest.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

#include "src/base/counter_random.h"

namespace attention {
namespace {

std::vector<std::byte> Bytes(size_t size) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(RandomBits(1, 2, i));
  return bytes;
}

uint64_t DigestOf(std::string_view text) { return ContentDigest(std::as_bytes(std::span(text))); }

// Values published with xxHash and its bindings.
TEST(ContentDigestTest, IsXxh64) {
  EXPECT_EQ(DigestOf(""), 0xEF46DB3751D8E999u);
  EXPECT_EQ(DigestOf("a"), 0xD24EC4F1A98C6E5Bu);
  EXPECT_EQ(DigestOf("abc"), 0x44BC2CF5AD770999u);
  EXPECT_EQ(DigestOf("Nobody inspects the spammish repetition"), 0xFBCEA83C8A378BF1u);
  EXPECT_EQ(DigestOf("The quick brown fox jumps over the lazy dog"), 0x0B242D361FDA71BCu);
}

TEST(ContentDigestTest, EveryBitAndTheLengthCount) {
  for (size_t size : {size_t{1}, size_t{7}, size_t{32}, size_t{45}, size_t{200}}) {
    std::vector<std::byte> bytes = Bytes(size);
    std::set<uint64_t> seen = {ContentDigest(bytes)};
    for (size_t bit = 0; bit < 8 * size; ++bit) {
      bytes[bit / 8] ^= std::byte{1} << bit % 8;
      EXPECT_TRUE(seen.insert(ContentDigest(bytes)).second) << "bit " << bit << " of " << size << " bytes";
      bytes[bit / 8] ^= std::byte{1} << bit % 8;
    }
    bytes.push_back(std::byte{0});
    EXPECT_TRUE(seen.insert(ContentDigest(bytes)).second);
  }
}

TEST(ContentDigestTest, OrderCountsAndPlacesInMemoryDoNot) {
  const std::vector<std::byte> bytes = Bytes(1000);
  std::vector<std::byte> moved = {std::byte{9}};
  moved.insert(moved.end(), bytes.begin(), bytes.end());
  EXPECT_EQ(ContentDigest(std::span(moved).subspan(1)), ContentDigest(bytes));
  std::vector<std::byte> swapped = bytes;
  std::swap_ranges(swapped.begin(), swapped.begin() + 8, swapped.begin() + 32);
  EXPECT_NE(ContentDigest(swapped), ContentDigest(bytes));
}

TEST(ContentDigestTest, SharesAddUpToTheWholeList) {
  const std::vector<std::byte> long_part = Bytes(2 * kDigestPiece + 1), short_part = Bytes(3);
  const std::vector<std::span<const std::byte>> parts = {long_part, {}, short_part};
  const std::vector<uint64_t> whole = PieceDigests(parts, 0, 1);
  ASSERT_EQ(whole.size(), 4u);
  EXPECT_EQ(whole[1], ContentDigest(std::span(long_part).subspan(kDigestPiece, kDigestPiece)));
  EXPECT_EQ(whole[2], ContentDigest(std::span(long_part).last(1)));
  EXPECT_EQ(whole[3], ContentDigest(short_part));
  std::vector<uint64_t> sum(whole.size());
  for (uint64_t rank = 0; rank < 3; ++rank) {
    const std::vector<uint64_t> share = PieceDigests(parts, rank, 3);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += share[i];
  }
  EXPECT_EQ(sum, whole);
}

}  // namespace
}  // namespace attention
