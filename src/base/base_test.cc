#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <vector>

#include "src/base/aligned_buffer.h"
#include "src/base/counter_random.h"
#include "src/base/data_type.h"
#include "src/base/error.h"
#include "src/base/tensor_view.h"

namespace attention {
namespace {

TEST(ErrorTest, KeepsStatusWhenContextIsAdded) {
  const Error error("seq_len is 0", ExitStatus::kBadUsage);
  const Error wrapped = error.WithContext("a.yaml:3:5");
  EXPECT_STREQ(wrapped.what(), "a.yaml:3:5: seq_len is 0");
  EXPECT_EQ(wrapped.status(), ExitStatus::kBadUsage);
}

TEST(AlignedBufferTest, IsAlignedAndZero) {
  for (size_t bytes : {size_t{1}, size_t{100}, AlignedBuffer::kHugePageBytes + 1}) {
    AlignedBuffer buffer(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % AlignedBuffer::kAlignment, 0u);
    EXPECT_EQ(buffer.size_bytes(), bytes);
    for (std::byte b : buffer.As<std::byte>()) ASSERT_EQ(b, std::byte{0});
  }
}

TEST(AlignedBufferTest, FromAnEighthOfAHugePageOnLiesOnHugePages) {
  for (size_t bytes : {AlignedBuffer::kHugeFromBytes, AlignedBuffer::kHugePageBytes + 1}) {
    AlignedBuffer buffer(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % AlignedBuffer::kHugePageBytes, 0u) << bytes;
  }
}

TEST(AlignedBufferTest, ImpossibleSizeIsAnError) { EXPECT_THROW(AlignedBuffer(SIZE_MAX - 5), Error); }

TEST(AlignedBufferTest, CheckedProductRefusesOverflow) {
  EXPECT_EQ(CheckedProduct(1 << 20, 1 << 20, "x"), int64_t{1} << 40);
  EXPECT_THROW(CheckedProduct(int64_t{1} << 40, int64_t{1} << 40, "elements"), Error);
  EXPECT_THROW(CheckedProduct(-1, 2, "elements"), Error);
}

TEST(Bfloat16Test, RoundsToNearestEven) {
  EXPECT_EQ(Bfloat16::FromFloat(1.0f).bits, 0x3F80);
  EXPECT_EQ(Bfloat16::FromFloat(std::bit_cast<float>(0x3F808000u)).bits, 0x3F80);  // tie to even
  EXPECT_EQ(Bfloat16::FromFloat(std::bit_cast<float>(0x3F818000u)).bits, 0x3F82);
  EXPECT_EQ(Bfloat16::FromFloat(std::bit_cast<float>(0x3F808001u)).bits, 0x3F81);
  EXPECT_TRUE(std::isnan(Bfloat16::FromFloat(std::numeric_limits<float>::quiet_NaN()).ToFloat()));
  EXPECT_TRUE(std::isinf(Bfloat16::FromFloat(std::numeric_limits<float>::infinity()).ToFloat()));
}

TEST(TensorViewTest, HeadMajorAndTokenMajorAddressTheSameElement) {
  const TensorShape shape{2, 3, 5, 4};
  std::vector<float> head_major(shape.elements()), token_major(shape.elements());
  const TensorView h = HeadMajorView(head_major.data(), DataType::kFloat32, shape);
  const TensorView t = TokenMajorView(token_major.data(), DataType::kFloat32, shape);
  EXPECT_EQ(h.Row<float>(1, 2, 3) - head_major.data(), ((1 * 3 + 2) * 5 + 3) * 4);
  EXPECT_EQ(t.Row<float>(1, 2, 3) - token_major.data(), ((1 * 5 + 3) * 3 + 2) * 4);
  const ConstTensorView slice = h.SliceHeads(1, 2).SliceTokens(2, 3).SliceBatch(1, 1);
  EXPECT_EQ(slice.Row<float>(0, 1, 1), h.Row<float>(1, 2, 3));
  EXPECT_EQ(slice.shape, (TensorShape{1, 2, 3, 4}));
}

TEST(CounterRandomTest, GaussianHasItsMoments) {
  const int n = 200000;
  double sum = 0, squares = 0, fourth = 0, neighbour = 0, previous = 0;
  for (int i = 0; i < n; ++i) {
    const double x = RandomGaussian(7, 1, i);
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
    neighbour += x * previous;
    previous = x;
  }
  // Five standard errors of each estimate.
  EXPECT_NEAR(sum / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1, 5 * std::sqrt(2.0 / n));
  EXPECT_NEAR(fourth / n, 3, 5 * std::sqrt(96.0 / n));
  EXPECT_NEAR(neighbour / n, 0, 5 / std::sqrt(n));
}

// Each slice of the distribution is as likely: against the distribution function, not against ourselves.
TEST(CounterRandomTest, GaussianFollowsTheDistribution) {
  constexpr int kValues = 400000, kSlices = 40;
  std::vector<int> counts(kSlices);
  double largest = 0;
  for (int i = 0; i < kValues; ++i) {
    const double x = RandomGaussian(11, 3, i);
    largest = std::max(largest, std::abs(x));
    const double below = 0.5 * std::erfc(-x / std::sqrt(2.0));
    ++counts[std::min(kSlices - 1, static_cast<int>(below * kSlices))];
  }
  // Pearson's statistic of 39 degrees of freedom: mean 39, deviation 8.8.
  double statistic = 0;
  const double expected = static_cast<double>(kValues) / kSlices;
  for (int count : counts) statistic += (count - expected) * (count - expected) / expected;
  EXPECT_LT(statistic, 39 + 5 * 8.8);
  EXPECT_GT(largest, 4);
  EXPECT_LT(largest, 4.4);
}

TEST(CounterRandomTest, FilledRowsEqualSingleValues) {
  for (uint64_t begin : {0, 1, 6, 7}) {
    for (size_t count : {0, 1, 2, 5, 8}) {
      std::vector<float> row(count);
      FillGaussian(3, 2, begin, row);
      for (size_t i = 0; i < count; ++i) {
        EXPECT_EQ(row[i], static_cast<float>(RandomGaussian(3, 2, begin + i))) << begin << " " << i;
      }
    }
  }
}

TEST(CounterRandomTest, StreamsSeedsAndIndicesDiffer) {
  std::set<uint64_t> seen;
  for (uint64_t seed = 0; seed < 8; ++seed)
    for (uint64_t stream = 0; stream < 8; ++stream)
      for (uint64_t index = 0; index < 64; ++index) seen.insert(RandomBits(seed, stream, index));
  EXPECT_EQ(seen.size(), 8u * 8 * 64);
}

// Messages quote files, which may hold anything.
TEST(ErrorTest, AMessageIsOneLine) {
  EXPECT_STREQ(Error("a\nb\tc\r").what(), "a b c ");
  EXPECT_STREQ(Error(std::string("x\0y\x1B[2J\x7F", 8)).what(), "x?y?[2J?");
  EXPECT_STREQ(Error("caf\xC3\xA9").WithContext("while\nreading").what(), "while reading: caf\xC3\xA9");
}

}  // namespace
}  // namespace attention
