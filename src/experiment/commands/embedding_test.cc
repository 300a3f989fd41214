#include "src/experiment/commands/embedding.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "src/base/error.h"

namespace attention {
namespace {

TEST(EmbeddingTest, HasLengthOne) {
  EXPECT_EQ(EmbeddingLine(std::vector<float>{3, -4}), "embedding 0.6,-0.8\n");
  EXPECT_EQ(EmbeddingLine(std::vector<float>{3 * 0x1p100f, 0, 4 * 0x1p100f}), "embedding 0.6,0,0.8\n");
  EXPECT_EQ(EmbeddingLine(std::vector<float>{1, 1}), "embedding 0.707106781,0.707106781\n");
}

TEST(EmbeddingTest, WhatHasNoDirectionHasNoEmbedding) {
  EXPECT_THROW(EmbeddingLine(std::vector<float>{0, 0}), Error);
  EXPECT_THROW(EmbeddingLine(std::vector<float>{1, std::numeric_limits<float>::quiet_NaN()}), Error);
  EXPECT_THROW(EmbeddingLine(std::vector<float>{1, std::numeric_limits<float>::infinity()}), Error);
}

}  // namespace
}  // namespace attention
