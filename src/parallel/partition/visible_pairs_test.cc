#include "src/parallel/partition/visible_pairs.h"

#include <gtest/gtest.h>

#include <vector>

namespace attention {
namespace {

double Counted(const TokenSegments& queries, const TokenSegments& keys, const Mask& mask) {
  double pairs = 0;
  for (const TokenSegment& query : queries) {
    for (int64_t p = query.global_begin; p < query.global_begin + query.length; ++p) {
      const KeyRange seen = mask.Visible(p);
      for (const TokenSegment& key : keys) {
        for (int64_t k = key.global_begin; k < key.global_begin + key.length; ++k) {
          if (seen.begin <= k && k < seen.end) ++pairs;
        }
      }
    }
  }
  return pairs;
}

TEST(VisiblePairsTest, CountsWhatTheMaskShows) {
  for (const Mask& mask : {Mask::Full(), Mask::Causal(), Mask::Window(1), Mask::Window(7),
                           Mask::Documents(std::vector<int64_t>{5, 1, 31})}) {
    for (Sharding sharding : {Sharding::kContiguous, Sharding::kZigzag}) {
      for (int64_t ranks : {1, 2, 3, 5, 40}) {
        double all = 0;
        for (int64_t reader = 0; reader < ranks; ++reader) {
          for (int64_t source = 0; source < ranks; ++source) {
            const TokenSegments queries = ShareOfTokens(37, sharding, ranks, reader);
            const TokenSegments keys = ShareOfTokens(37, sharding, ranks, source);
            const double pairs = VisiblePairs(queries, keys, mask);
            EXPECT_EQ(pairs, Counted(queries, keys, mask)) << Name(mask) << " " << reader << " " << source;
            all += pairs;
          }
        }
        EXPECT_EQ(all, mask.VisiblePairs(0, 37, 37)) << Name(mask);
      }
    }
  }
}

}  // namespace
}  // namespace attention
