// What can be tested of the comparison without any peer installed.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <vector>

#include "peers/composite_attention.h"
#include "peers/onnx_model.h"
#include "peers/row_softmax.h"
#include "peers/tournament.h"
#include "peers/worker_process.h"
#include "peers/workload.h"
#include "src/base/error.h"

namespace attention::peers {
namespace {

class NaiveMultiply : public MatrixMultiply {
 public:
  void Multiply(bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t lda,
                const float* b, int64_t ldb, float beta, float* c, int64_t ldc) override {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t p = 0; p < k; ++p)
          sum += a[i * lda + p] * (transpose_b ? b[j * ldb + p] : b[p * ldb + j]);
        const float old = beta == 0 ? 0.0f : beta * c[i * ldc + j];  // c may hold anything if beta is 0
        c[i * ldc + j] = alpha * static_cast<float>(sum) + old;
      }
    }
  }
  std::string Description() const override { return "three loops"; }
};

Workload SmallWorkload(bool causal, int64_t query_tokens, int64_t kv_tokens) {
  return {.name = "small",
          .causal = causal,
          .query_tokens = query_tokens,
          .kv_tokens = kv_tokens,
          .query_heads = 4,
          .kv_heads = 2,
          .head_dim = 16};
}

std::vector<float> RunComposite(const Problem& problem, const CompositeTiles& tiles) {
  NaiveMultiply multiply;
  const auto composite = MakeComposite("naive", tiles, problem, multiply);
  composite->Run();
  composite->Run();  // a second pass must not build on the first
  std::vector<float> output(static_cast<size_t>(problem.query_shape().elements()));
  composite->ReadOutput(output);
  return output;
}

TEST(CompositeAttention, AgreesWithFloat64ForEveryTile) {
  for (const bool causal : {false, true}) {
    const Problem problem(SmallWorkload(causal, 75, 75));
    for (const int64_t q_block : {1, 16, 75, 200}) {
      for (const int64_t kv_block : {0, 1, 32}) {
        const Accuracy accuracy = problem.Check(RunComposite(problem, {q_block, kv_block}));
        EXPECT_TRUE(accuracy.accurate())
            << causal << " " << q_block << " " << kv_block << " " << accuracy.rel_l2_err;
      }
    }
  }
}

TEST(CompositeAttention, DecodesOneQuery) {
  const Problem problem(SmallWorkload(false, 1, 333));
  for (const int64_t rows : {1, 2}) {
    EXPECT_TRUE(problem.Check(RunComposite(problem, {rows, 100})).accurate()) << rows;
  }
}

TEST(Problem, CheckSeesWrongRowsAndNonFiniteValues) {
  const Problem problem(SmallWorkload(true, 40, 40));
  const std::vector<float> right = RunComposite(problem, {16, 0});
  ASSERT_TRUE(problem.Check(right).accurate());
  std::vector<float> wrong = right;
  wrong[0] += 1e-3f;  // row 0 of head 0 is always in the sample
  EXPECT_FALSE(problem.Check(wrong).accurate());
  wrong = right;
  wrong.back() = std::nanf("");  // wherever it is
  EXPECT_FALSE(problem.Check(wrong).accurate());
  // The result without the mask.
  const Problem unmasked(SmallWorkload(false, 40, 40));
  EXPECT_FALSE(problem.Check(RunComposite(unmasked, {16, 0})).accurate());
}

class NamedOnly : public Contestant {
 public:
  using Contestant::Contestant;
  double Run() override { return 1; }
  void ReadOutput(std::span<float>) override {}
};

TEST(ChosenWays, TakesTheFastestAccurateWayOfTheColumn) {
  const std::string path = testing::TempDir() + "/ways.csv";
  std::ofstream(path) << "column,contestant,way,best_time_s,gflops,max_abs_err,rel_l2_err,accurate\n"
                         "full_512,a,q_block=1,2.5,1,0,0,1\n"
                         "full_512,a,q_block=2,1.5e-1,1,0,0,1\n"
                         "full_512,a,q_block=3,1e-3,1,inf,inf,0\n"
                         "full_1024,a,q_block=3,1e-3,1,0,0,1\n";
  Contestants all;
  for (const char* way : {"q_block=1", "q_block=2", "q_block=3"}) {
    all.push_back(std::make_unique<NamedOnly>("a", way));
  }
  all.push_back(std::make_unique<NamedOnly>("unknown", "w"));
  const Contestants kept = ChosenWays(path).Filter(std::move(all), "full_512");
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[0]->way(), "q_block=2");
  EXPECT_EQ(kept[1]->name(), "unknown");
  EXPECT_THROW(ChosenWays("/no/such/file"), Error);
}

TEST(RowSoftmax, WeightsSumAndMaskForEveryLength) {
  for (int64_t length = 1; length <= 150; ++length) {
    const int64_t visible = (length + 2) / 3;
    std::vector<float> row(static_cast<size_t>(length) + 1, 777.0f);
    for (int64_t i = 0; i < length; ++i)
      row[static_cast<size_t>(i)] = static_cast<float>((i * 37) % 101) - 60.0f;
    const std::vector<float> before = row;
    const float sum = UnnormalizedSoftmax(row.data(), visible, length);
    float max = before[0];
    for (int64_t i = 0; i < visible; ++i) max = std::max(max, before[static_cast<size_t>(i)]);
    double expected_sum = 0;
    for (int64_t i = 0; i < length; ++i) {
      const double expected = i < visible ? std::exp(double{before[static_cast<size_t>(i)]} - max) : 0.0;
      expected_sum += expected;
      // x log2(e) is rounded at |x| <= 100: 144 * 2^-24 absolute in the exponent, 6e-6 relative in the
      // weight; the polynomial's error is far below.
      EXPECT_NEAR(row[static_cast<size_t>(i)], expected, 1e-5 * expected + 1.2e-38) << length << " " << i;
    }
    EXPECT_NEAR(sum, expected_sum, 1e-5 * expected_sum);
    EXPECT_EQ(row.back(), 777.0f) << "wrote past the row";
  }
}

TEST(OnnxModel, BytesOfASmallModel) {
  OnnxGraph graph;
  graph.nodes.push_back({"Softmax", "", {"x"}, {"y"}, {{"axis", -1}}, {}});
  graph.inputs.push_back({"x", OnnxType::kFloat, {2, 300}});
  graph.outputs.push_back({"y", OnnxType::kFloat, {2, 300}});
  const std::string bytes = SerializeModel(graph);
  EXPECT_EQ(bytes.substr(0, 3), std::string("\x08\x0a\x3a", 3));  // ir_version 10; field 7: the graph
  // 300 as a varint; -1 as ten bytes, as protobuf writes negative int64.
  EXPECT_NE(bytes.find(std::string("\x08\xac\x02", 3)), std::string::npos);
  EXPECT_NE(bytes.find(std::string("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11)), std::string::npos);
}

TEST(WorkerProcess, AnswersAndReportsItsEnd) {
  WorkerProcess echo({"/bin/sh", "-c", "read line; echo \"$line $EXTRA\""}, {"EXTRA=more"});
  EXPECT_EQ(echo.Ask("hello"), "hello more");
  EXPECT_THROW(echo.Receive(), Error);
}

TEST(WorkerProcess, AProgramThatIsNotThere) { EXPECT_THROW(WorkerProcess({"/no/such/program"}, {}), Error); }

TEST(Workload, NamesAreCheckedAndFlopsCounted) {
  EXPECT_EQ(ParseWorkloads("all").size(), 9u);
  EXPECT_EQ(ParseWorkloads("causal_512,decode_32768").size(), 2u);
  EXPECT_THROW(ParseWorkloads("full_513"), Error);
  EXPECT_EQ(ParseWorkloads("full_1024")[0].flops(), 4.0 * 16 * 1024 * 1024 * 128);
  EXPECT_EQ(ParseWorkloads("causal_1024")[0].flops(), 2.0 * 16 * 1024 * 1024 * 128);
  EXPECT_EQ(ParseWorkloads("decode_32768")[0].key_value_bytes(), 8.0 * 32768 * 128 * 4 * 2);
}

}  // namespace
}  // namespace attention::peers
