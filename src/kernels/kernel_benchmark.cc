// The inner loop of work on the kernels: every algorithm, ISA, type and size on this machine, as a fraction
// of the peak that is measured beside each iteration (before and after it, in the same process).
//
//   bazel run -c opt //src/kernels:kernel_benchmark --
//   --benchmark_filter='prefill/online_softmax/avx512/.*/S:2048'
//
// Names: prefill/<algorithm>/<isa>/<dtype>/<mask>/S:<tokens>/D:<head_dim>/T:<threads>, 16 query and 8
// KV heads;
//        decode/<isa>/<dtype>/S:<keys>/T:<threads>, one query token.
// Counters: gflops (4 H D per visible pair of query and key), fraction (of the multiply-add peak; median over
// iterations), fraction_cpu (the same over the calling thread's CPU time: on a busy machine, what one thread
// would reach alone); decode: gb_per_s and fraction of the read bandwidth over the same memory.
#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "src/base/aligned_buffer.h"
#include "src/base/counter_random.h"
#include "src/base/tensor_rows.h"
#include "src/kernels/attention_kernel.h"
#include "src/machine/machine_peak.h"

namespace attention {
namespace {

constexpr int64_t kHeads = 16, kKvHeads = 8;
constexpr double kPeakSeconds = 2e-3;

struct Case {
  AttentionAlgorithm algorithm = AttentionAlgorithm::kOnlineSoftmax;
  Isa isa = Isa::kScalar;
  DataType data_type = DataType::kFloat32;  // of keys and values
  Mask mask;
  int64_t queries = 1;
  int64_t keys = 1;
  int64_t head_dim = 128;
  int threads = 1;

  bool decode() const { return queries == 1; }
  DataType query_type() const { return data_type == DataType::kInt8 ? DataType::kFloat32 : data_type; }
  std::string Name() const {
    const std::string common = std::string(attention::Name(isa)) + "/" + attention::Name(data_type);
    const std::string sizes = "/S:" + std::to_string(keys);
    const std::string end = "/T:" + std::to_string(threads);
    if (decode()) return "decode/" + common + sizes + end;
    return "prefill/" + std::string(attention::Name(algorithm)) + "/" + common + "/" + attention::Name(mask) +
           sizes + "/D:" + std::to_string(head_dim) + end;
  }
};

double WallSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double ThreadCpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

void Fill(AlignedBuffer& buffer, DataType type, int64_t head_dim, uint64_t stream) {
  const int64_t rows = static_cast<int64_t>(buffer.size_bytes()) / RowBytes(type, head_dim);
  const TensorView view = HeadMajorView(buffer.data(), type, {1, 1, rows, head_dim});
  std::vector<float> row(static_cast<size_t>(head_dim));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t d = 0; d < head_dim; ++d) {
      // A period longer than any row suffices; drawing each element would take longer than the benchmark.
      row[d] =
          static_cast<float>(RandomGaussian(1, stream, static_cast<uint64_t>((r * head_dim + d) % 99991)));
    }
    StoreRow(row, view, 0, 0, r);
  }
}

void Run(benchmark::State& state, const Case& c) {
  const auto bytes = [&](int64_t heads, int64_t tokens, DataType type) {
    return static_cast<size_t>(heads * tokens * RowBytes(type, c.head_dim));
  };
  // K and V in one piece: the memory that a decode step reads.
  const size_t kv_bytes = bytes(kKvHeads, c.keys, c.data_type);
  AlignedBuffer q(bytes(kHeads, c.queries, c.query_type())), kv(2 * kv_bytes);
  AlignedBuffer output(bytes(kHeads, c.queries, DataType::kFloat32));
  Fill(q, c.query_type(), c.head_dim, 0);
  Fill(kv, c.data_type, c.head_dim, 1);

  BackendConfig config;
  config.algorithm = c.algorithm;
  config.isa = c.isa;
  config.data_type = c.query_type();
  if (c.data_type != c.query_type()) config.kept_key_values = c.data_type;
  config.threads = c.threads;
  config.mask = c.mask;
  config.heads.group_size = kHeads / kKvHeads;
  config.query_heads = kHeads;
  config.kv_heads = kKvHeads;
  config.head_dim = c.head_dim;
  config.max_query_tokens = c.queries;
  config.max_kv_tokens = c.keys;
  const auto kernel = MakeAttentionKernel(config);

  const TokenSegment query_segment{0, c.keys - c.queries, c.queries}, key_segment{0, 0, c.keys};
  const TensorShape query_shape{1, kHeads, c.queries, c.head_dim}, kv_shape{1, kKvHeads, c.keys, c.head_dim};
  AttentionStep step;
  step.query = {HeadMajorView(q.data(), c.query_type(), query_shape), {&query_segment, 1}};
  const KeyValueShard key_values[] = {{HeadMajorView(kv.data(), c.data_type, kv_shape),
                                       HeadMajorView(kv.data() + kv_bytes, c.data_type, kv_shape),
                                       {&key_segment, 1}}};
  step.key_values = key_values;
  step.output = HeadMajorView(output.data(), DataType::kFloat32, query_shape);
  kernel->Accumulate(step);

  const double work =
      c.decode() ? 2.0 * static_cast<double>(kv_bytes)
                 : 4.0 * kHeads * static_cast<double>(c.head_dim) * c.mask.VisiblePairs(0, c.queries, c.keys);
  const auto peak = [&] {
    return 1e9 * (c.decode() ? MeasureReadBandwidth(c.isa, c.threads, kv.data(), 2 * kv_bytes, kPeakSeconds)
                             : MeasurePeakGflops(c.isa, c.data_type, c.threads, kPeakSeconds));
  };
  std::vector<double> rates, fractions, cpu_fractions;
  for (auto _ : state) {
    const double peak_before = peak();
    // The pass that measures the bandwidth leaves the ends of its streams in the last cache, where a kernel
    // that reads the same bytes in another order finds them: 12 % of bf16 at 32768 keys. A step finds what
    // the step before it left.
    if (c.decode()) kernel->Accumulate(step);
    const double start = WallSeconds(), cpu_start = ThreadCpuSeconds();
    kernel->Accumulate(step);
    const double cpu_seconds = ThreadCpuSeconds() - cpu_start, seconds = WallSeconds() - start;
    const double limit = (peak_before + peak()) / 2;
    state.SetIterationTime(seconds);
    rates.push_back(work / seconds);
    fractions.push_back(work / seconds / limit);
    cpu_fractions.push_back(work / cpu_seconds / limit);
  }
  state.counters[c.decode() ? "gb_per_s" : "gflops"] = Median(rates) * 1e-9;
  state.counters["fraction"] = Median(fractions);
  if (c.threads == 1) state.counters["fraction_cpu"] = Median(cpu_fractions);
}

void Register(const Case& c) {
  benchmark::RegisterBenchmark(c.Name().c_str(), [c](benchmark::State& state) { Run(state, c); })
      ->UseManualTime()
      ->MinTime(0.5)
      ->Unit(benchmark::kMillisecond);
}

void RegisterAll() {
  for (Isa isa : SupportedIsas()) {
    for (DataType type : {DataType::kFloat32, DataType::kBfloat16, DataType::kInt8}) {
      for (int threads : {1, 2}) {
        for (int64_t keys : {2048, 8192, 32768}) {
          Register({AttentionAlgorithm::kOnlineSoftmax, isa, type, Mask::Causal(), 1, keys, 128, threads});
        }
        if (type == DataType::kInt8) continue;  // nothing but decoding reads it
        for (AttentionAlgorithm algorithm : kAllAlgorithms) {
          for (const Mask& mask : {Mask::Full(), Mask::Causal(), Mask::Window(512)}) {
            for (int64_t tokens : {512, 1024, 2048, 4096, 8192}) {
              for (int64_t head_dim : {64, 128}) {
                Register({algorithm, isa, type, mask, tokens, tokens, head_dim, threads});
              }
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace attention

int main(int argc, char** argv) {
  attention::RegisterAll();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
