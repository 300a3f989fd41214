#include "src/attention/mask.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "src/base/error.h"

namespace attention {
namespace {

constexpr int64_t kTokens = 41;

std::vector<Mask> Masks() {
  const std::vector<int64_t> lengths = {1, 7, 1, 20, 12};
  return {Mask::Full(),
          Mask::Causal(),
          Mask::Window(1),
          Mask::Window(5),
          Mask::Window(41),
          Mask::Window(100),
          Mask::Documents(lengths),
          Mask::Documents(std::vector<int64_t>{41})};
}

// Written from the words in mask.h, key by key.
bool Sees(const Mask& mask, int64_t query, int64_t key) {
  const std::string name = Name(mask);
  if (name == "full") return true;
  if (key > query) return false;
  if (name.rfind("window:", 0) == 0) return query - key < std::stoll(name.substr(7));
  if (name.rfind("documents:", 0) != 0) return true;
  int64_t begin = 0;
  for (size_t at = 10; at < name.size();) {
    size_t digits = 0;
    const int64_t length = std::stoll(name.substr(at), &digits);
    if (query >= begin && query < begin + length) return key >= begin;
    begin += length;
    at += digits + 1;
  }
  return false;
}

TEST(MaskTest, VisibleRangesAreThoseOfTheDefinition) {
  for (const Mask& mask : Masks()) {
    for (int64_t query = 0; query < kTokens; ++query) {
      const KeyRange range = mask.Visible(query);
      for (int64_t key = 0; key < kTokens; ++key) {
        ASSERT_EQ(range.begin <= key && key < range.end, Sees(mask, query, key))
            << Name(mask) << " query " << query << " key " << key;
      }
    }
  }
}

TEST(MaskTest, RunsOfKeysAreClipped) {
  for (const Mask& mask : Masks()) {
    for (int64_t first = 0; first < kTokens; first += 3) {
      for (int64_t last : {first, std::min(first + 5, kTokens - 1), kTokens - 1}) {
        for (int64_t begin : {0, 4, 30}) {
          const int64_t keys = std::min<int64_t>(11, kTokens - begin);
          const KeyRange any = mask.VisibleToAny(first, last, begin, keys);
          const KeyRange all = mask.VisibleToAll(first, last, begin, keys);
          for (int64_t key = 0; key < keys; ++key) {
            int64_t seen_by = 0;
            for (int64_t query = first; query <= last; ++query) seen_by += Sees(mask, query, begin + key);
            const bool in_any = any.begin <= key && key < any.end, in_all = all.begin <= key && key < all.end;
            ASSERT_EQ(in_all, seen_by == last - first + 1) << Name(mask);
            ASSERT_EQ(in_any, seen_by > 0) << Name(mask);
          }
          EXPECT_TRUE(!any.is_empty() || any == KeyRange{});
        }
      }
    }
  }
}

TEST(MaskTest, PairsAreCounted) {
  for (const Mask& mask : Masks()) {
    for (int64_t first : {0, 1, 8, 40}) {
      for (int64_t queries : {int64_t{1}, kTokens - first}) {
        double pairs = 0;
        for (int64_t query = first; query < first + queries; ++query) {
          for (int64_t key = 0; key < kTokens; ++key) pairs += Sees(mask, query, key);
        }
        EXPECT_EQ(mask.VisiblePairs(first, queries, kTokens), pairs)
            << Name(mask) << " " << first << " " << queries;
      }
    }
  }
}

TEST(MaskTest, NamesAreReadBack) {
  for (const Mask& mask : Masks()) EXPECT_EQ(Mask::Parse(Name(mask)), mask);
  EXPECT_NE(Mask::Window(5), Mask::Window(6));
  EXPECT_NE(Mask::Parse("documents:3+4"), Mask::Parse("documents:4+3"));
}

TEST(MaskTest, WhatIsNoMaskIsRefused) {
  for (const char* text :
       {"", "fill", "causal:1", "window", "window:", "window:0", "window:-1", "window:x", "window:1x",
        "window:99999999999999999999", "documents", "documents:", "documents:0", "documents:1+",
        "documents:+1", "documents:1+0", "documents:1,2", "full:"}) {
    EXPECT_THROW(Mask::Parse(text), Error) << text;
  }
}

TEST(MaskTest, DocumentsMustFillTheSequence) {
  EXPECT_EQ(Mask::Parse("documents:3+4").WhyInvalid(7), "");
  EXPECT_EQ(Mask::Parse("documents:3+4").WhyInvalid(8),
            "the documents of mask documents:3+4 have 7 tokens together, the sequence has 8");
  EXPECT_EQ(Mask::Parse("window:9").WhyInvalid(7), "");
}

}  // namespace
}  // namespace attention
