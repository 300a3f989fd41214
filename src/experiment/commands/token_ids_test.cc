#include "src/experiment/commands/token_ids.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/error.h"
#include "src/base/testing/refusal.h"

namespace attention {
namespace {

using testing::HasSubstr;

TEST(TokenIdsTest, ReadsIds) {
  EXPECT_EQ(ParseTokenIds("1, 2\n3\t4,5\r\n", "x", 2), (std::vector<int64_t>{1, 2, 3, 4, 5}));
  EXPECT_EQ(ParseTokenIds("7", "x", 1), (std::vector<int64_t>{7}));
  for (const char* text : {"", "7", "\n\n", " , "}) {
    EXPECT_THAT(Refusal([&] { ParseTokenIds(text, "ids.txt", 2); }), HasSubstr("at least 2")) << text;
  }
  for (const char* text : {"1 2\n3 x", "1 2\n-3", "1 2\n3.5 4", "1\n2;3"}) {
    EXPECT_THAT(Refusal([&] { ParseTokenIds(text, "ids.txt", 2); }), HasSubstr("ids.txt:2: token ids"))
        << text;
  }
}

TEST(TokenIdsTest, NumbersThatNoVocabularyHas) {
  EXPECT_THAT(Refusal([] { ParseTokenIds("1 18446744073709551617", "ids.txt", 1); }),
              HasSubstr("ids.txt:1: 18446744073709551617 is no token id"));
}

TEST(TokenIdsTest, KnowsTheEndOfTheVocabulary) {
  RequireInVocabulary({0, 96}, 97, "ids.txt");
  EXPECT_THAT(Refusal([] {
                RequireInVocabulary({0, 97}, 97, "ids.txt");
              }),
              HasSubstr("ids.txt: 97 is not in the vocabulary, which has 97 tokens"));
}

TEST(TokenIdsTest, ATextIsALine) {
  const std::vector<std::vector<int64_t>> expected = {{1, 2}, {3}, {4, 5}};
  EXPECT_EQ(ParseTexts("\n1 2\n\n 3\r\n,\n4,5", "x"), expected);
  EXPECT_THROW(ParseTexts(" \n", "x"), Error);
}

}  // namespace
}  // namespace attention
