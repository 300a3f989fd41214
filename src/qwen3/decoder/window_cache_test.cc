// Every kept token of a prompt is found where decoding looks for it, whatever the window and the shares.
#include "src/qwen3/decoder/window_cache.h"

#include <gtest/gtest.h>
#include <mpi.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "src/base/data_type.h"
#include "src/base/tensor_rows.h"
#include "src/parallel/partition/token_dealing.h"

namespace attention {
namespace {

constexpr int64_t kBatch = 2, kHeads = 3, kHeadDim = 4;

// Of a row: its token, and whose it is; exact in bf16 up to 256, and in int8 rounded the same way by whoever
// does it.
float Element(int64_t token, int64_t batch, int64_t head, int64_t d) {
  return static_cast<float>(d == 0 ? token + 1 : 10 * batch + head + d);
}

using Row = std::vector<float>;

Row Made(int64_t token, int64_t batch, int64_t head, float sign) {
  Row row;
  for (int64_t d = 0; d < kHeadDim; ++d) row.push_back(sign * Element(token, batch, head, d));
  return row;
}

void Fill(const TensorView& view, const TokenSegments& share, float sign) {
  for (int64_t b = 0; b < kBatch; ++b) {
    for (int64_t h = 0; h < kHeads; ++h) {
      for (const TokenSegment& segment : share) {
        for (int64_t i = 0; i < segment.length; ++i) {
          StoreRow(Made(segment.global_begin + i, b, h, sign), view, b, h, segment.local_begin + i);
        }
      }
    }
  }
}

void ExpectRow(const TensorView& view, int64_t row, int64_t token, float sign) {
  std::vector<std::byte> made(static_cast<size_t>(RowBytes(view.data_type, kHeadDim)));
  for (int64_t b = 0; b < kBatch; ++b) {
    for (int64_t h = 0; h < kHeads; ++h) {
      StoreRow(Made(token, b, h, sign), HeadMajorView(made.data(), view.data_type, {1, 1, 1, kHeadDim}), 0, 0,
               0);
      const TensorView found = view.SliceBatch(b, 1).SliceHeads(h, 1).SliceTokens(row, 1);
      ASSERT_TRUE(std::equal(made.begin(), made.end(), found.data)) << "token " << token << " in row " << row;
    }
  }
}

void ExpectKept(const Communicator& world, const std::vector<TokenSegments>& shares, int64_t own,
                int64_t tokens, int64_t window, DataType type) {
  const auto parts = static_cast<int64_t>(shares.size());
  const int64_t held = TokenCount(shares[static_cast<size_t>(own)]);
  KeyValueCache cache(kBatch, kHeads, std::max(held, tokens / parts + 2), kHeadDim, type);
  KeyValueCache scratch(kBatch, kHeads, std::min(cache.capacity(), window), kHeadDim, type);
  Fill(cache.keys(), shares[static_cast<size_t>(own)], 1);
  Fill(cache.values(), shares[static_cast<size_t>(own)], -1);
  KeepWindow(world, shares, own, window, cache, scratch);
  for (int64_t token = std::max<int64_t>(0, tokens - window + 1); token < tokens; ++token) {
    const CachePlace place = PlaceInWindow(token, window, parts);
    if (place.part != own) continue;
    ExpectRow(cache.keys(), place.row, token, 1);
    ExpectRow(cache.values(), place.row, token, -1);
  }
}

TEST(WindowCacheTest, KeptTokensAreWhereDecodingLooks) {
  const Communicator world(MPI_COMM_WORLD);
  for (const int64_t window : {1, 2, 3, 11, 64}) {
    for (const int64_t tokens : {int64_t{1}, int64_t{2}, window, window + 1, 3 * window, 3 * window + 2}) {
      for (const DataType type : {DataType::kFloat32, DataType::kBfloat16, DataType::kInt8}) {
        SCOPED_TRACE(testing::Message()
                     << "window " << window << ", tokens " << tokens << ", " << Name(type));
        // headwise: everything is here.
        ExpectKept(world, {AllTokens(tokens)}, 0, tokens, window, type);
        for (const Sharding sharding : {Sharding::kContiguous, Sharding::kZigzag}) {
          ExpectKept(world, DealTokens(Mask::Causal(), tokens, sharding, world.size()), world.rank(), tokens,
                     window, type);
        }
      }
    }
  }
}

// Parts have as many of the first tokens as attention expects of them (BalancedRange).
TEST(WindowCacheTest, PlacesAreDealtEvenly) {
  for (const int64_t parts : {1, 2, 3, 8}) {
    for (const int64_t window : {1, 5, 16}) {
      for (int64_t tokens = 1; tokens <= 2 * window; ++tokens) {
        std::vector<int64_t> rows(static_cast<size_t>(parts), 0);
        for (int64_t token = 0; token < tokens; ++token) {
          const CachePlace place = PlaceInWindow(token, window, parts);
          int64_t& count = rows[static_cast<size_t>(place.part)];
          count = std::max(count, place.row + 1);
        }
        for (int64_t part = 0; part < parts; ++part) {
          EXPECT_EQ(rows[static_cast<size_t>(part)],
                    BalancedRange(std::min(tokens, window), parts, part).size());
        }
      }
    }
  }
}

}  // namespace
}  // namespace attention
