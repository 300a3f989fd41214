// Our linear layers against cblas_sgemm, in one process: the measurement behind the choice not to call BLAS.
//
//   bazel run -c opt //src/qwen3/linear:linear_benchmark
//
// OpenBLAS of Debian 12 does not know CPUs newer than itself and falls back to AVX2;
// OPENBLAS_CORETYPE=SkylakeX gives it its best.
#include <benchmark/benchmark.h>
#include <cblas.h>

#include <cstdint>
#include <vector>

#include "src/qwen3/linear/linear.h"

namespace attention {
namespace {

// Arguments: rows, outputs, inputs, threads.
void Shapes(benchmark::internal::Benchmark* benchmark) {
  for (int64_t threads : {1, 2}) {
    for (int64_t rows : {1, 128, 1024}) {
      benchmark->Args({rows, 4096, 1024, threads});
      benchmark->Args({rows, 1024, 3072, threads});
    }
  }
  benchmark->Args({1, 151936, 1024, 2})->UseRealTime();
}

void Report(benchmark::State& state, double weight_bytes) {
  const double flops = 2.0 * state.range(0) * state.range(1) * state.range(2);
  state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["weights_GB/s"] =
      benchmark::Counter(weight_bytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void PackedLinear(benchmark::State& state, DataType type, DataType activations) {
  const int64_t rows = state.range(0), outputs = state.range(1), inputs = state.range(2);
  const int threads = static_cast<int>(state.range(3));
  PackedMatrix matrix(outputs, inputs, type);
  matrix.Fill([](int64_t, std::span<float> row) { row[0] = 1; }, threads);
  std::vector<float> x(rows * inputs, 1.0f), y(rows * outputs);
  Linear linear(Isa::kAvx512, threads, rows, inputs, activations);
  for (auto _ : state) {
    linear.Run({x.data(), rows, inputs}, matrix.view(), Store::kOverwrite, {y.data(), rows, outputs});
    benchmark::DoNotOptimize(y.data());
  }
  Report(state, static_cast<double>(matrix.view().weight_bytes()));
}

// The layers of a model, one after the other: weights come from memory, not from L3.
void ModelLinear(benchmark::State& state, DataType type, DataType activations) {
  constexpr int kLayers = 8;  // 8 x 12 MB and more
  const int64_t rows = state.range(0), outputs = state.range(1), inputs = state.range(2);
  const int threads = static_cast<int>(state.range(3));
  std::vector<PackedMatrix> layers;
  for (int layer = 0; layer < kLayers; ++layer) {
    layers.emplace_back(outputs, inputs, type);
    layers.back().Fill([](int64_t, std::span<float> row) { row[0] = 1; }, threads);
  }
  std::vector<float> x(rows * inputs, 1.0f), y(rows * outputs);
  Linear linear(Isa::kAvx512, threads, rows, inputs, activations);
  size_t next = 0;
  for (auto _ : state) {
    linear.Run({x.data(), rows, inputs}, layers[next++ % kLayers].view(), Store::kOverwrite,
               {y.data(), rows, outputs});
    benchmark::DoNotOptimize(y.data());
  }
  Report(state, static_cast<double>(layers[0].view().weight_bytes()));
}

void ModelShapes(benchmark::internal::Benchmark* benchmark) {
  for (int64_t rows : {1, 64, 128, 1024}) {
    for (int64_t threads : {1, 2}) {
      benchmark->Args({rows, 6144, 1024, threads});
      benchmark->Args({rows, 1024, 3072, threads});
    }
  }
}

void Blas(benchmark::State& state) {
  const int64_t rows = state.range(0), outputs = state.range(1), inputs = state.range(2);
  std::vector<float> w(outputs * inputs, 1.0f), x(rows * inputs, 1.0f), y(rows * outputs);
  openblas_set_num_threads(static_cast<int>(state.range(3)));
  for (auto _ : state) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(rows), static_cast<int>(outputs),
                static_cast<int>(inputs), 1, x.data(), static_cast<int>(inputs), w.data(),
                static_cast<int>(inputs), 0, y.data(), static_cast<int>(outputs));
    benchmark::DoNotOptimize(y.data());
  }
  Report(state, 4.0 * static_cast<double>(outputs * inputs));
}

constexpr DataType kFloat32 = DataType::kFloat32, kBfloat16 = DataType::kBfloat16;
BENCHMARK_CAPTURE(PackedLinear, fp32, kFloat32, kFloat32)->Apply(Shapes)->UseRealTime();
BENCHMARK_CAPTURE(PackedLinear, bf16_weights, kBfloat16, kFloat32)->Apply(Shapes)->UseRealTime();
BENCHMARK_CAPTURE(PackedLinear, bf16, kBfloat16, kBfloat16)->Apply(Shapes)->UseRealTime();
BENCHMARK_CAPTURE(ModelLinear, fp32, kFloat32, kFloat32)->Apply(ModelShapes)->UseRealTime();
BENCHMARK_CAPTURE(ModelLinear, bf16_weights, kBfloat16, kFloat32)->Apply(ModelShapes)->UseRealTime();
BENCHMARK_CAPTURE(ModelLinear, bf16, kBfloat16, kBfloat16)->Apply(ModelShapes)->UseRealTime();
BENCHMARK(Blas)->Apply(Shapes)->UseRealTime();

}  // namespace
}  // namespace attention

BENCHMARK_MAIN();
