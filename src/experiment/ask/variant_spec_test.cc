#include "src/experiment/ask/variant_spec.h"

#include <gtest/gtest.h>

#include "src/base/error.h"

namespace attention {
namespace {

// What Name(Variant) prints is read as that variant, whatever the defaults.
TEST(VariantSpecTest, ReadsTheNameOfEveryValidVariant) {
  int read = 0;
  for (Phase phase : {Phase::kPrefill, Phase::kDecode}) {
    for (const ValidCombination& valid : ValidCombinations(phase)) {
      for (const Grid& grid : {Grid{}, Grid{2, 4}, Grid{16, 1}}) {
        for (const TileSizes& tiles :
             {TileSizes{}, TileSizes{64, 256}, TileSizes{0, 128}, TileSizes{32, 0}}) {
          Variant variant = valid.variant;
          variant.grid = grid;
          variant.tiles = tiles;
          if (!WhyInvalid(variant, valid.contract, phase).empty()) continue;
          const VariantSpec spec = ParseVariantSpec(Name(variant));
          EXPECT_EQ(spec.label, Name(variant));
          EXPECT_EQ(ResolveVariant(spec, valid.contract, phase, Mask::Causal()), variant) << Name(variant);
          EXPECT_EQ(ResolveVariant(spec, valid.contract, phase, Mask::Full()), variant) << Name(variant);
          ++read;
        }
      }
    }
  }
  EXPECT_GT(read, 100);
}

TEST(VariantSpecTest, AGridLeavesDefaultsToTheCell) {
  const VariantSpec spec = ParseVariantSpec("sequence(grid=2x4)+online_softmax");
  EXPECT_EQ(spec.grid, (Grid{2, 4}));
  EXPECT_FALSE(spec.exchange || spec.sharding);
  EXPECT_EQ(ParseVariantSpec("sequence(ring, grid=2x4)+online_softmax").exchange, Exchange::kRing);
  for (const char* bad : {"2", "x", "2x", "x2", "0x2", "2x-1", "2x2x2", "2*2", "1048577x1", ""}) {
    EXPECT_THROW(GridFromText(bad), Error) << bad;
  }
}

TEST(VariantSpecTest, AutoNamesTheAlgorithmAtMost) {
  for (const char* text : {"auto", "auto+online_softmax", " auto + online_softmax", "auto+standard[q=64]"}) {
    const VariantSpec spec = ParseVariantSpec(text);
    EXPECT_TRUE(spec.is_auto) << text;
    EXPECT_EQ(spec.algorithm, std::string(text).find("standard") == std::string::npos
                                  ? AttentionAlgorithm::kOnlineSoftmax
                                  : AttentionAlgorithm::kStandard);
  }
  EXPECT_EQ(ParseVariantSpec("auto+standard[q=64]").tiles, (TileSizes{64, 0}));
  EXPECT_FALSE(ParseVariantSpec("headwise+standard").is_auto);
  for (const char* bad : {"auto(ring)+online_softmax", "auto(grid=2x1)+online_softmax", "auto+", "+auto",
                          "automatic+standard", "headwise+auto", "auto[q=64]"}) {
    EXPECT_THROW(ParseVariantSpec(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace attention
