#include "src/experiment/commands/perplexity.h"

#include <gtest/gtest.h>

namespace attention {
namespace {

TEST(PerplexityTest, EveryTokenButTheFirstIsScoredOnceWithHalfAWindowBeforeIt) {
  for (int64_t tokens : {2, 3, 7, 8, 9, 64, 65, 1000}) {
    for (int64_t window : {2, 3, 5, 8, 64, 2000}) {
      int64_t scored = 1;
      for (const ScoredWindow& piece : ScoredWindows(tokens, window)) {
        EXPECT_EQ(piece.scored_from, scored) << tokens << " " << window;
        EXPECT_LT(piece.scored_from, piece.end);
        EXPECT_LE(piece.end, tokens);
        EXPECT_LE(piece.end - piece.begin, window);
        if (piece.begin > 0) {
          EXPECT_GE(piece.scored_from - piece.begin, window / 2) << tokens << " " << window;
        }
        scored = piece.end;
      }
      EXPECT_EQ(scored, tokens);
    }
  }
}

}  // namespace
}  // namespace attention
