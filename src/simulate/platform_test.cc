#include "src/simulate/platform.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "src/base/regular_file.h"
#include "src/base/testing/refusal.h"

namespace attention {
namespace {

const std::string kStar = R"(name: small
about: nowhere
nodes: 6
cores_per_node: 4
isa: avx2
core_speed: 0.5
memory_gb_per_s: 20
within_node: {gb_per_s: 4, latency_us: 1}
network: {gb_per_s: 0.125, latency_us: 30}
)";

TEST(PlatformTest, StarAndTreeAreRead) {
  const Platform star = Platform::Parse(kStar, "p.yaml");
  EXPECT_EQ(star.name, "small");
  EXPECT_EQ(star.cores(), 24);
  EXPECT_EQ(star.isa, Isa::kAvx2);
  EXPECT_DOUBLE_EQ(star.core_speed, 0.5);
  EXPECT_DOUBLE_EQ(star.memory_bytes_per_second, 20e9);
  EXPECT_DOUBLE_EQ(star.network.bytes_per_second, 125e6);
  EXPECT_DOUBLE_EQ(star.network.latency_seconds, 30e-6);
  EXPECT_TRUE(star.fat_tree.empty());
  const std::string with_tree = kStar + "fat_tree: {down: [3, 2], up: [1, 2], links: [1, 1]}\n";
  const Platform tree = Platform::Parse(with_tree, "p.yaml");
  ASSERT_EQ(tree.fat_tree.size(), 2u);
  EXPECT_EQ(tree.fat_tree[1].down, 2);
  EXPECT_EQ(tree.fat_tree[1].up, 2);
  EXPECT_NE(tree.sha256, star.sha256);
}

TEST(PlatformTest, MistakesAreRefusedWithTheirPlace) {
  const auto refusal = [](std::string text, const std::string& old, const std::string& now) {
    text.replace(text.find(old), old.size(), now);
    return Refusal([&] { Platform::Parse(text, "p.yaml"); });
  };
  EXPECT_EQ(refusal(kStar, "nodes: 6", "nodes: 0").find("p.yaml:3:8: nodes"), 0u);
  EXPECT_NE(refusal(kStar, "isa: avx2", "isa: avx9"), "");
  EXPECT_NE(refusal(kStar, "cores_per_node", "cores"), "");
  EXPECT_NE(refusal(kStar, "latency_us: 30", "latency_ms: 30"), "");
  EXPECT_NE(refusal(kStar, "name: small", "name: a/b"), "");
  EXPECT_NE(refusal(kStar + "fat_tree: {down: [3, 3], up: [1, 2], links: [1, 1]}\n", "nodes: 6", "nodes: 6")
                .find("makes a tree of 9 nodes, not 6"),
            std::string::npos);
  EXPECT_NE(refusal(kStar + "fat_tree: {down: [3, 2], up: [1], links: [1, 1]}\n", "nodes: 6", "nodes: 6")
                .find("not as long as down"),
            std::string::npos);
}

TEST(PlatformTest, DrawsLieAroundItAsFarAsItSays) {
  const Platform platform = Platform::Parse(
      kStar + "uncertainty: {core_speed: 0.1, kernels: 0.02, gb_per_s: 0.05, latency_us: 0.2}\n", "p.yaml");
  EXPECT_EQ(platform.uncertainty.kernels, 0.02);
  EXPECT_EQ(platform.Drawn(0).network.bytes_per_second, platform.network.bytes_per_second);
  EXPECT_EQ(platform.Drawn(7).network.bytes_per_second, platform.Drawn(7).network.bytes_per_second);
  constexpr int kDraws = 2000;
  const auto check = [&](const char* what, const auto& figure, double deviation) {
    double sum = 0, squares = 0;
    for (int draw = 1; draw <= kDraws; ++draw) {
      const double log = std::log(figure(platform.Drawn(draw)) / figure(platform));
      sum += log;
      squares += log * log;
    }
    // Four of their own deviations.
    EXPECT_NEAR(sum / kDraws, 0, 4 * deviation / std::sqrt(kDraws)) << what;
    EXPECT_NEAR(std::sqrt(squares / kDraws), deviation, 4 * deviation / std::sqrt(2 * kDraws)) << what;
  };
  const auto network = [](const Platform& p) { return p.network.bytes_per_second; };
  const auto within = [](const Platform& p) { return p.within_node.bytes_per_second; };
  check("network", network, 0.05);
  check("within", within, 0.05);
  check(
      "memory", [](const Platform& p) { return p.memory_bytes_per_second; }, 0.05);
  check(
      "cores", [](const Platform& p) { return p.core_speed; }, 0.1);
  check(
      "network's latency", [](const Platform& p) { return p.network.latency_seconds; }, 0.2);
  check(
      "latency within", [](const Platform& p) { return p.within_node.latency_seconds; }, 0.2);
  // Links are drawn each by itself: the ratio of two spreads as two do.
  check(
      "ratio", [&](const Platform& p) { return network(p) / within(p); }, 0.05 * std::sqrt(2.0));
  const auto refusal = [](const std::string& line) {
    return Refusal([&] { Platform::Parse(kStar + line, "p.yaml"); });
  };
  EXPECT_NE(refusal("uncertainty: {core_speed: 0, kernels: 2, gb_per_s: 0, latency_us: 0}\n").find("kernels"),
            std::string::npos);
  EXPECT_NE(refusal("uncertainty: {core_speed: 0, kernels: 0}\n").find("gb_per_s"), std::string::npos);
  EXPECT_NE(refusal("uncertainty: {kernel: 0}\n").find("kernel"), std::string::npos);
}

TEST(PlatformTest, CheckedInPlatformsAreGood) {
  for (const char* name : {"ethernet_10gbit", "fat_tree_100gbit", "home_1gbit", "original"}) {
    const std::string path = "src/simulate/platforms/" + std::string(name) + ".yaml";
    EXPECT_EQ(Platform::Parse(ReadWholeFile(path, 1 << 20), path).name, name);
  }
}

}  // namespace
}  // namespace attention
