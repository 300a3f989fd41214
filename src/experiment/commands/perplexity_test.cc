#include "src/experiment/commands/perplexity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/error.h"
#include "src/base/testing/refusal.h"

namespace attention {
namespace {

using testing::HasSubstr;

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

TEST(PerplexityTest, ReadsIds) {
  EXPECT_EQ(ParseTokenIds("1, 2\n3\t4,5\r\n", "x"), (std::vector<int64_t>{1, 2, 3, 4, 5}));
  for (const char* text : {"", "7", "\n\n", " , "}) {
    EXPECT_THAT(Refusal([&] { ParseTokenIds(text, "ids.txt"); }), HasSubstr("at least 2")) << text;
  }
  for (const char* text : {"1 2\n3 x", "1 2\n-3", "1 2\n3.5 4", "1\n2;3"}) {
    EXPECT_THAT(Refusal([&] { ParseTokenIds(text, "ids.txt"); }), HasSubstr("ids.txt:2: token ids")) << text;
  }
}

}  // namespace
}  // namespace attention
