// The progress callback comes at least every 100 us, shown without a clock: the drivers run over a table of
// tile functions that compute nothing and add up the time their work takes a slow machine.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "src/attention/attention_state.h"
#include "src/base/aligned_buffer.h"
#include "src/kernels/attention_kernel.h"
#include "src/kernels/simd/tile_kernels.h"

namespace attention {
namespace {

// A slow machine: a core of 2.1 GHz at half of what two pipes would do without AVX-512 and three quarters
// with it, or of 8 GB/s where it only moves data.
double SlowFlopsPerSecond(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return 3e9;
    case Isa::kSse4:
      return 12e9;
    case Isa::kAvx2:
      return 40e9;
    case Isa::kAvx512:
      return 100e9;
  }
  return 0;
}
constexpr double kSlowBytesPerSecond = 8e9;

// What the fake tile functions below report to. They are plain functions, so it has to be reachable from
// everywhere; one at a time.
class Work {
 public:
  Work(Isa isa, DataType type) : isa_(isa), element_bytes_(SizeOf(type)), lanes_(GetTileKernels(isa).lanes) {
    current_ = this;
  }
  ~Work() { current_ = nullptr; }

  static Work& Current() { return *current_; }
  static void Poll(void* context) {
    Work& work = *static_cast<Work*>(context);
    ++work.calls;
    work.since_call_ = 0;
  }
  void Flops(double flops) { Add(flops / SlowFlopsPerSecond(isa_)); }
  void Bytes(double bytes) { Add(bytes / kSlowBytesPerSecond); }
  void Add(double seconds) {
    since_call_ += seconds;
    total += seconds;
    longest = std::max(longest, since_call_);
  }
  Isa isa() const { return isa_; }
  double element_bytes() const { return static_cast<double>(element_bytes_); }
  int64_t Width(int vectors) const { return static_cast<int64_t>(vectors) * lanes_; }

  int64_t calls = 0;
  double total = 0;
  double longest = 0;  // between two calls, seconds

 private:
  static Work* current_;
  Isa isa_;
  size_t element_bytes_;
  int lanes_;
  double since_call_ = 0;
};
Work* Work::current_ = nullptr;

void Transpose(int64_t head_dim, int vectors) {
  Work& work = Work::Current();
  work.Bytes(2.0 * sizeof(float) * static_cast<double>(head_dim * work.Width(vectors)));
}
// A product of two operands at their rate; few queries run at a quarter of it, or at memory's.
void Product(int64_t keys, int vectors, int64_t head_dim) {
  Work& work = Work::Current();
  work.Flops(2.0 * static_cast<double>(keys * head_dim * work.Width(vectors)));
}
void FewProduct(int64_t keys, int64_t columns, int64_t head_dim) {
  const double elements = static_cast<double>(keys * head_dim);
  Work& work = Work::Current();
  work.Add(std::max(work.element_bytes() * elements / kSlowBytesPerSecond,
                    4 * 2 * elements * static_cast<double>(columns) / SlowFlopsPerSecond(work.isa())));
}

// The table of `isa` with every function replaced.
TileKernels CountingTable(Isa isa, DataType type, int64_t head_dim) {
  TileKernels table = GetTileKernels(isa, type, head_dim);
  table.pack_queries = [](const void* const*, int64_t d, int vectors, float, void*) {
    Transpose(d, vectors);
  };
  table.pack_state = [](const void* const*, int64_t d, int vectors, float*) { Transpose(d, vectors); };
  table.unpack_columns = [](const float*, int64_t d, int vectors, const float*, float* const*, bool) {
    Transpose(d, vectors);
  };
  table.flag_non_finite = [](const float*, int64_t, int vectors, const float*, float* flags) {
    std::fill_n(flags, Work::Current().Width(vectors), 0.0f);
  };
  table.pack_values = [](const void*, int64_t, int64_t keys, int64_t d, int64_t, void*) {
    Work::Current().Bytes(2.0 * sizeof(float) * static_cast<double>(keys * d));
  };
  table.scores = [](const ScoreArguments& a) { Product(a.keys, a.vectors, a.head_dim); };
  table.exponentials = [](const ExponentialArguments& a) { Product(a.keys, a.vectors, 16); };
  table.move_maximum = [](int, const float*, float*, float*, float*) {};
  table.weighted_sum = [](const WeightedSumArguments& a) { Product(a.keys, a.vectors, a.head_dim); };
  table.few_scores = [](const FewScoresArguments& a) { FewProduct(a.keys, a.columns, a.head_dim); };
  table.few_weighted_sum = [](const FewWeightedSumArguments& a) {
    FewProduct(a.keys, a.columns, a.head_dim);
  };
  table.few_softmax = [](float*, int64_t, int64_t keys, float*, float*) {
    Work::Current().Flops(32.0 * static_cast<double>(keys));
    return 1.0f;
  };
  return table;
}

// Tensors of zeros and a step over them.
class Problem {
 public:
  Problem(BackendConfig config, int64_t queries, int64_t keys)
      : config_(config),
        query_segment_{0, keys - queries, queries},
        key_segment_{0, 0, keys},
        query_shape_{1, config.query_heads, queries, config.head_dim},
        key_shape_{1, config.kv_heads, keys, config.head_dim},
        q_(Bytes(query_shape_, config.data_type)),
        k_(Bytes(key_shape_, config.data_type)),
        output_(Bytes(query_shape_, DataType::kFloat32)),
        state_(1, config.query_heads, queries, config.head_dim) {
    config_.max_query_tokens = queries;
    config_.max_kv_tokens = keys;
  }

  void Run(const TileKernels& table, const Progress& progress, bool first = true) {
    AttentionStep step;
    step.query = {HeadMajorView(q_.data(), config_.data_type, query_shape_), {&query_segment_, 1}};
    const ConstTensorView keys = HeadMajorView(k_.data(), config_.data_type, key_shape_);
    const KeyValueShard key_values[] = {{keys, keys, {&key_segment_, 1}}};
    step.key_values = key_values;
    step.output = HeadMajorView(output_.data(), DataType::kFloat32, query_shape_);
    step.state = state_.view();
    step.first = first;
    step.progress = progress;
    MakeKernelFromTable(config_, table)->Accumulate(step);
  }

 private:
  static size_t Bytes(const TensorShape& shape, DataType type) {
    return static_cast<size_t>(shape.batch * shape.heads * shape.tokens * shape.head_dim) * SizeOf(type);
  }

  BackendConfig config_;
  TokenSegment query_segment_, key_segment_;
  TensorShape query_shape_, key_shape_;
  AlignedBuffer q_, k_, output_;
  AttentionStateBuffer state_;
};

BackendConfig Config(AttentionAlgorithm algorithm, Isa isa, DataType type, int64_t head_dim,
                     TileSizes tiles) {
  BackendConfig config;
  config.algorithm = algorithm;
  config.isa = isa;
  config.data_type = type;
  config.tiles = tiles;
  config.mask = Mask::Causal();
  config.heads.group_size = config.query_heads = 2;
  config.head_dim = head_dim;
  return config;
}

void ExpectOftenEnough(const BackendConfig& config, int64_t queries, int64_t keys, bool first) {
  Work work(config.isa, config.data_type);
  Problem(config, queries, keys)
      .Run(CountingTable(config.isa, config.data_type, config.head_dim), {&Work::Poll, &work}, first);
  SCOPED_TRACE(std::string(Name(config.algorithm)) + " " + std::string(Name(config.isa)) + " " +
               Name(config.data_type) + " D=" + std::to_string(config.head_dim) + " queries " +
               std::to_string(queries) + " keys " + std::to_string(keys) + " q_block " +
               std::to_string(config.tiles.q_block) + " kv_block " + std::to_string(config.tiles.kv_block));
  EXPECT_GT(work.total, 0);
  EXPECT_LE(work.longest, 100e-6);
  // And not so often that asking costs: with a clock read of 30 ns, 50 us on the slow machine keep that below
  // one in a thousand on one that is 1.6 times as fast.
  if (config.tiles == TileSizes() && config.head_dim <= 128) {
    EXPECT_LE(static_cast<double>(work.calls - 1) * 50e-6, work.total);
  }
}

class ProgressTest : public testing::TestWithParam<Isa> {};

TEST_P(ProgressTest, ComesEvery100MicrosecondsOfPrefill) {
  for (AttentionAlgorithm algorithm : kAllAlgorithms) {
    for (DataType type : {DataType::kFloat32, DataType::kBfloat16}) {
      for (int64_t head_dim : {64, 128, 256}) {
        for (TileSizes tiles : {TileSizes{}, TileSizes{1024, 0}, TileSizes{0, 4096}, TileSizes{16, 32}}) {
          ExpectOftenEnough(Config(algorithm, GetParam(), type, head_dim, tiles), 2500, 5000, true);
        }
      }
    }
  }
}

TEST_P(ProgressTest, ComesWhileAStateIsTakenUp) {
  for (TileSizes tiles : {TileSizes{}, TileSizes{1024, 0}}) {
    const BackendConfig config =
        Config(AttentionAlgorithm::kOnlineSoftmax, GetParam(), DataType::kFloat32, 256, tiles);
    ExpectOftenEnough(config, 2500, 300, false);
  }
}

TEST_P(ProgressTest, ComesEvery100MicrosecondsOfDecode) {
  for (DataType type : {DataType::kFloat32, DataType::kBfloat16}) {
    for (int64_t head_dim : {64, 128, 256}) {
      for (int64_t heads : {1, 2, 8}) {
        BackendConfig config =
            Config(AttentionAlgorithm::kOnlineSoftmax, GetParam(), type, head_dim, TileSizes());
        config.query_heads = config.heads.group_size = heads;
        ExpectOftenEnough(config, 1, 20000, true);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllIsas, ProgressTest, testing::ValuesIn(SupportedIsas()),
                         [](const auto& info) { return std::string(Name(info.param)); });

// Two threads, of which the caller's runs out of work first.
class SlowHelper {
 public:
  explicit SlowHelper(std::thread::id caller) : caller_(caller) { current_ = this; }
  ~SlowHelper() { current_ = nullptr; }

  static void Poll(void* context) { ++static_cast<SlowHelper*>(context)->calls_; }
  // In the place of a product. The caller waits until the helper is in one, the helper until progress was
  // called many more times than the work that is left has reason to.
  static void Product() {
    SlowHelper& self = *current_;
    if (std::this_thread::get_id() == self.caller_) {
      self.WaitUntil([&] { return self.helper_is_in_.load(); });
    } else if (!self.helper_is_in_.exchange(true)) {
      const int64_t calls = self.calls_;
      self.WaitUntil([&] { return self.calls_ > calls + 10000; });
    }
  }
  bool gave_up() const { return gave_up_; }

 private:
  template <typename Condition>
  void WaitUntil(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition() && !gave_up_) {
      if (std::chrono::steady_clock::now() > deadline) gave_up_ = true;
      std::this_thread::yield();
    }
  }

  static SlowHelper* current_;
  std::thread::id caller_;
  std::atomic<bool> helper_is_in_{false};
  std::atomic<int64_t> calls_{0};
  std::atomic<bool> gave_up_{false};
};
SlowHelper* SlowHelper::current_ = nullptr;

TEST(ProgressWhileWaitingTest, GoesOnUntilTheLastThreadIsDone) {
  for (AttentionAlgorithm algorithm : kAllAlgorithms) {
    for (int64_t queries : {1, 400}) {
      // One row of the exact algorithms is one piece: there is no second thread.
      if (queries == 1 && algorithm != AttentionAlgorithm::kOnlineSoftmax) continue;
      SlowHelper helper(std::this_thread::get_id());
      TileKernels table = GetTileKernels(BestIsa());
      table.scores = [](const ScoreArguments&) { SlowHelper::Product(); };
      table.weighted_sum = [](const WeightedSumArguments&) { SlowHelper::Product(); };
      table.few_scores = [](const FewScoresArguments&) { SlowHelper::Product(); };
      BackendConfig config = Config(algorithm, BestIsa(), DataType::kFloat32, 64, {96, 64});
      config.threads = 2;
      Problem(config, queries, 4000).Run(table, {&SlowHelper::Poll, &helper});
      EXPECT_FALSE(helper.gave_up()) << Name(algorithm) << ", " << queries << " queries";
    }
  }
}

}  // namespace
}  // namespace attention
