#include "src/experiment/text/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace attention {
namespace {

TEST(Utf8Test, TextsAreTaken) {
  for (const char* text : {"", "plain\tascii\n", "\xC2\x80 \xDF\xBF", "f\xC3\xBCr",
                           "\xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF",
                           "\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF", "\xEF\xBB\xBFname: x"}) {
    EXPECT_EQ(FirstNoUtf8(text), std::nullopt) << text;
  }
}

// The table of well-formed sequences in the Unicode standard (3-7), just outside of each row.
TEST(Utf8Test, TheFirstByteThatIsNoTextIsFound) {
  for (const char* odd : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x7F", "\xC2\xC0",
                          "\xE0\x9F\xBF", "\xE0\xA0", "\xE1\x80\xC0", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF0\x90\x80", "\xFE", "\xFF\xFE"}) {
    EXPECT_EQ(FirstNoUtf8(std::string("ab\xC3\xBC") + odd), 4u);
    EXPECT_EQ(FirstNoUtf8(std::string("ab\xC3\xBC") + odd + " and on"), 4u);
  }
  EXPECT_EQ(FirstNoUtf8(std::string_view("n\0a", 3)), 1u);
}

}  // namespace
}  // namespace attention
