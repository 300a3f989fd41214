#include "src/simulate/calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "src/base/testing/refusal.h"
#include "src/simulate/step_cost.h"

namespace attention {
namespace {

// One nanosecond for a pair of a query head and a key at 4 queries and 4 keys, less for more; a diagonal
// costs twice as much. Group 2, so a row is of two query heads.
std::string SmallFile() {
  const auto row = [](const char* work, int queries, int keys, double pairs, double rate) {
    char text[200];
    std::snprintf(text, sizeof(text), "%s,online_softmax,scalar,fp32,1,8,2,%d,%d,,%.17g\n", work, queries,
                  keys, pairs * 2 * rate);
    return std::string(text);
  };
  std::string text = "# remark\n" + std::string(Calibration::kHeader) + "\n";
  for (const char* work : {"full", "carried"}) {
    const double factor = std::string(work) == "full" ? 1 : 3;
    text += row(work, 4, 4, 16, factor * 1e-9) + row(work, 4, 64, 256, factor * 0.25e-9);
    text += row(work, 64, 4, 256, factor * 0.25e-9) + row(work, 64, 64, 4096, factor * 0.0625e-9);
  }
  text += row("diagonal", 4, 4, 10, 2e-9) + row("diagonal", 64, 64, 2080, 2e-9);
  for (const char* work : {"copy", "merge", "finish"}) text += std::string(work) + ",,,,,,,,,1000,1e-6\n";
  return text;
}

constexpr KernelKind kKind = {AttentionAlgorithm::kOnlineSoftmax, Isa::kScalar, DataType::kFloat32, 1, 8, 2};

TEST(CalibrationTest, RatesAreReadAndInterpolated) {
  const Calibration calibration = Calibration::Parse(SmallFile(), "c.csv");
  const auto rate = [&](double queries, double keys) {
    return calibration.SecondsPerPair(kKind, StepWork::kFull, queries, keys);
  };
  EXPECT_NEAR(rate(4, 4), 1e-9, 1e-15);
  EXPECT_NEAR(rate(64, 64), 0.0625e-9, 1e-15);
  // Half-way in the logarithm of lengths is half-way in that of rates.
  EXPECT_NEAR(rate(4, 16), 0.5e-9, 1e-15);
  EXPECT_NEAR(rate(16, 16), 0.25e-9, 1e-15);
  // Beyond the border, as at it.
  EXPECT_NEAR(rate(1, 1), 1e-9, 1e-15);
  EXPECT_NEAR(rate(4096, 4096), 0.0625e-9, 1e-15);
  EXPECT_NEAR(calibration.SecondsOf(MemoryWork::kMerge, 5000), 5e-6, 1e-12);
  EXPECT_EQ(calibration.SecondsOf(MemoryWork::kCopy, 0), 0);
}

// n / m triangles and the rectangles beside them; not the rate of the longest triangle.
TEST(CalibrationTest, DiagonalsBeyondTheLongest) {
  const Calibration calibration = Calibration::Parse(SmallFile(), "c.csv");
  const auto rate = [&](double queries) {
    return calibration.SecondsPerPair(kKind, StepWork::kDiagonal, queries, 1);
  };
  EXPECT_NEAR(rate(64), 2e-9, 1e-15);
  EXPECT_NEAR(rate(128), 0.5 * 2e-9 + 0.5 * 0.0625e-9, 1e-15);
  EXPECT_NEAR(rate(64000), 0.001 * 2e-9 + 0.999 * 0.0625e-9, 1e-15);
}

TEST(CalibrationTest, ProductsByRowsAndInputs) {
  constexpr ProductKind kProducts = {Isa::kAvx2, DataType::kBfloat16, 2};
  std::string text = SmallFile();
  // 1e-9 s for a row, an input and an output; four times that, half, and a quarter of it.
  text += "product,,avx2,bf16,2,,,1,16,,16e-9\nproduct,,avx2,bf16,2,,,1,256,,1024e-9\n";
  text += "product,,avx2,bf16,2,,,64,16,,512e-9\nproduct,,avx2,bf16,2,,,64,256,,4096e-9\n";
  const Calibration calibration = Calibration::Parse(text, "c.csv");
  EXPECT_NEAR(calibration.SecondsOfProduct(kProducts, 1, 16, 10), 160e-9, 1e-15);
  EXPECT_NEAR(calibration.SecondsOfProduct(kProducts, 1, 256, 10), 10240e-9, 1e-14);
  EXPECT_NEAR(calibration.SecondsOfProduct(kProducts, 64, 16, 10), 5120e-9, 1e-14);
  EXPECT_NEAR(calibration.SecondsOfProduct(kProducts, 1, 64, 10), 64 * 2e-9 * 10, 1e-14);
  EXPECT_EQ(calibration.SecondsOfProduct(kProducts, 0, 16, 10), 0);
  EXPECT_NE(Refusal([&] { calibration.RequireDecoder(kProducts); }).find("nothing for norm"),
            std::string::npos);
}

TEST(CalibrationTest, DrawsMoveEachKindOfStepByItself) {
  const Calibration calibration = Calibration::Parse(SmallFile(), "c.csv");
  const auto factor = [&](const Calibration& drawn, StepWork work, double queries) {
    return drawn.SecondsPerPair(kKind, work, queries, 4) /
           calibration.SecondsPerPair(kKind, work, queries, 4);
  };
  EXPECT_EQ(factor(calibration.Drawn(0.1, 0), StepWork::kFull, 4), 1);
  constexpr int kDraws = 2000;
  double full = 0, ratio = 0, copies = 0;
  for (int draw = 1; draw <= kDraws; ++draw) {
    const Calibration drawn = calibration.Drawn(0.1, draw);
    // All lengths by the same factor.
    ASSERT_NEAR(factor(drawn, StepWork::kFull, 4), factor(drawn, StepWork::kFull, 64), 1e-12);
    const double log = std::log(factor(drawn, StepWork::kFull, 4));
    full += log * log;
    ratio += std::pow(log - std::log(factor(drawn, StepWork::kCarried, 4)), 2);
    copies += std::pow(std::log(drawn.SecondsOf(MemoryWork::kCopy, 1000) / 1e-6), 2);
  }
  EXPECT_NEAR(std::sqrt(full / kDraws), 0.1, 0.01);
  EXPECT_NEAR(std::sqrt(copies / kDraws), 0.1, 0.01);
  EXPECT_NEAR(std::sqrt(ratio / kDraws), 0.1 * std::sqrt(2.0), 0.015);
}

TEST(CalibrationTest, BadFilesAreRefusedWithTheirPlace) {
  const auto refusal = [](const std::string& text) {
    return Refusal([&] { Calibration::Parse(text, "c.csv"); });
  };
  const std::string header = std::string(Calibration::kHeader) + "\n";
  EXPECT_EQ(refusal("work,seconds\n").find("c.csv:1: no calibration"), 0u);
  EXPECT_NE(refusal(header + "full,flash,scalar,fp32,1,8,2,4,4,,1\n").find("c.csv:2: 'flash' in column 2"),
            std::string::npos);
  EXPECT_NE(refusal(header + "copy,,,,,,,,,1000,-1\n").find("c.csv:2: '-1' in column 11"), std::string::npos);
  EXPECT_NE(refusal(header + "copy,1\n").find("c.csv:2: 2 fields, expected are 11"), std::string::npos);
  EXPECT_NE(refusal(header + "diagonal,standard,scalar,fp32,1,8,2,4,5,,1\n").find("as many keys"),
            std::string::npos);
  EXPECT_NE(refusal(header).find("nothing for copy"), std::string::npos);
  // A point that is missing among the others.
  std::string text = SmallFile();
  const size_t begin = text.find("carried,online_softmax,scalar,fp32,1,8,2,64,4,");
  text.erase(begin, text.find('\n', begin) + 1 - begin);
  EXPECT_NE(refusal(text).find("nothing for queries 64, keys 4"), std::string::npos);
}

TEST(CalibrationTest, KernelsThatWereNotMeasuredAreRefused) {
  const Calibration calibration = Calibration::Parse(SmallFile(), "c.csv");
  calibration.RequireKind(kKind);
  KernelKind other = kKind;
  other.threads = 2;
  const std::string refusal = Refusal([&] { calibration.RequireKind(other); });
  EXPECT_NE(refusal.find("threads 2"), std::string::npos);
  EXPECT_NE(refusal.find("it has online_softmax scalar fp32 threads 1 head_dim 8 group 2"),
            std::string::npos);
}

// A backend of 3 KV heads with 2 query heads each, and a step of `queries` and `keys`.
struct StepFixture {
  BackendConfig config;
  std::vector<TokenSegment> queries, keys;
  bool first = true, last = true;
  KvHeadRange kv_heads = {};

  StepFixture() {
    config.head_dim = 8;
    config.batch = 2;
    config.query_heads = 6;
    config.kv_heads = 3;
    config.heads.group_size = 2;
  }
  template <typename Function>
  double Of(Function function) const {
    const KeyValueShard shard = {{}, {}, keys};
    AttentionStep step{.query = {{}, queries}, .key_values = {&shard, 1}};
    step.first = first;
    step.last = last;
    step.kv_heads = kv_heads;
    return function(step);
  }
  double Seconds() const {
    return Of([&](const AttentionStep& step) {
      return StepSeconds(Calibration::Parse(SmallFile(), "c.csv"), config, step);
    });
  }
  double Bytes() const {
    return Of([&](const AttentionStep& step) { return StepBytes(config, step); });
  }
};

TEST(StepCostTest, CountsHeadsBatchAndRuns) {
  StepFixture step;
  step.queries = {{0, 100, 4}};
  step.keys = {{0, 0, 4}};
  EXPECT_NEAR(step.Seconds(), 2 * 6 * 16 * 1e-9, 1e-15);
  step.kv_heads = {1, 3};
  EXPECT_NEAR(step.Seconds(), 2 * 4 * 16 * 1e-9, 1e-15);
  step.kv_heads = {};
  step.last = false;
  EXPECT_NEAR(step.Seconds(), 3 * 2 * 6 * 16 * 1e-9, 1e-15);
  step.last = true;
  step.keys = {{0, 0, 4}, {4, 200, 64}};
  EXPECT_NEAR(step.Seconds(), 2 * 6 * (16 * 1e-9 + 256 * 0.25e-9), 1e-15);
}

TEST(StepCostTest, BytesAreWhatAStepMustMove) {
  StepFixture step;
  step.queries = {{0, 100, 4}};
  step.keys = {{0, 0, 4}, {4, 50, 3}};
  const int64_t whole = 2 * (6 * 4 * (8 + 8) + 3 * 7 * 2 * 8) * 4;
  EXPECT_EQ(step.Bytes(), whole);
  // State in and state out, m and l with it, in place of the output.
  step.first = step.last = false;
  EXPECT_EQ(step.Bytes(), whole + 2 * 6 * 4 * (10 + 10 - 8) * 4);
  step.kv_heads = {2, 3};
  step.first = step.last = true;
  EXPECT_EQ(step.Bytes(), 2 * (2 * 4 * (8 + 8) + 7 * 2 * 8) * 4);
}

TEST(StepCostTest, MasksCutWhatNobodySees) {
  StepFixture step;
  step.config.mask = Mask::Causal();
  step.queries = {{0, 4, 4}};
  step.keys = {{0, 0, 4}};  // all before
  EXPECT_NEAR(step.Seconds(), 12 * 16 * 1e-9, 1e-15);
  step.keys = {{0, 4, 4}};  // the same tokens: a triangle
  EXPECT_NEAR(step.Seconds(), 12 * 10 * 2e-9, 1e-15);
  step.keys = {{0, 8, 4}};  // all after
  EXPECT_EQ(step.Seconds(), 0);
  step.config.mask = Mask::Window(2);
  step.keys = {{0, 0, 8}};  // each query its own key and the one before
  EXPECT_NEAR(step.Seconds(), 12 * 8 * 2e-9, 1e-15);
}

}  // namespace
}  // namespace attention
