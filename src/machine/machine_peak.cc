#include "src/machine/machine_peak.h"

#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "src/base/error.h"
#include "src/simd/bfloat16_dot.h"
#include "src/simd/unroll.h"

namespace attention {
#ifndef SRC_MACHINE_PEAK_FUNCTIONS_
#define SRC_MACHINE_PEAK_FUNCTIONS_
namespace {

struct PeakFunctions {
  float (*run)(int64_t iterations);
  double (*flops)(int64_t iterations);
  float (*read)(const std::byte* memory, size_t bytes);
};

}  // namespace
#endif
}  // namespace attention

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/machine/machine_peak.cc"
#include "hwy/foreach_target.h"
// foreach_target comes first.
#include "hwy/cache_control.h"
#include "src/simd/simd_base-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention {
namespace HWY_NAMESPACE {

// 12 chains: two units of latency 4 need 8. The chains grow slowly from 1 and never become denormal.
constexpr int kChains = 12;

// Does `iterations` x kChains multiply-adds; returns something that depends on all of them.
float MultiplyAddChains(int64_t iterations) {
  const FloatTag df;
  FloatVec acc[kChains];
  ATTENTION_UNROLL
  for (int i = 0; i < kChains; ++i) acc[i] = hn::Set(df, 1.0f + static_cast<float>(i));
  const FloatVec a = hn::Set(df, 0x1p-12f), b = hn::Set(df, 0.75f);
  for (int64_t n = 0; n < iterations; ++n) {
    ATTENTION_UNROLL
    for (int i = 0; i < kChains; ++i) acc[i] = hn::MulAdd(a, b, acc[i]);
  }
  FloatVec sum = acc[0];
  ATTENTION_UNROLL
  for (int i = 1; i < kChains; ++i) sum = hn::Add(sum, acc[i]);
  return hn::GetLane(sum);
}

double MultiplyAddFlops(int64_t iterations) {
  return 2.0 * kLanes * kChains * static_cast<double>(iterations);
}

// Reads all of [memory, memory + bytes) in four streams with the target's widest loads.
float ReadAll(const std::byte* memory, size_t bytes) {
  const FloatTag df;
  constexpr int kStreams = 4;
  constexpr size_t kLine = 64;
  constexpr size_t kAhead = 1024;
  const size_t stream_bytes = bytes / kStreams / kLine * kLine;
  FloatVec sum[kStreams];
  ATTENTION_UNROLL
  for (int s = 0; s < kStreams; ++s) sum[s] = hn::Zero(df);
  for (size_t at = 0; at < stream_bytes; at += kLine) {
    ATTENTION_UNROLL
    for (int s = 0; s < kStreams; ++s) {
      const std::byte* line = memory + static_cast<size_t>(s) * stream_bytes + at;
      hwy::Prefetch(line + kAhead);
      for (size_t i = 0; i < kLine; i += kLanes * sizeof(float)) {
        sum[s] = hn::Or(sum[s], hn::LoadU(df, reinterpret_cast<const float*>(line + i)));
      }
    }
  }
  return hn::GetLane(hn::Or(hn::Or(sum[0], sum[1]), hn::Or(sum[2], sum[3])));
}

PeakFunctions Functions() { return {MultiplyAddChains, MultiplyAddFlops, ReadAll}; }

}  // namespace HWY_NAMESPACE
}  // namespace attention
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "src/simd/dispatch.h"

namespace attention {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

// Keeps a result alive without storing it anywhere shared.
void Keep(float value) { asm volatile("" : : "x"(value)); }

PeakFunctions FunctionsOf(Isa isa) { return ATTENTION_FOR_ISA(isa, Functions()); }

#if defined(__x86_64__)
__attribute__((target(ATTENTION_BFLOAT16_DOT_TARGETS))) float Bfloat16Chains(int64_t iterations) {
  constexpr int kChains = 12;
  __m512 acc[kChains];
  for (int i = 0; i < kChains; ++i) acc[i] = _mm512_set1_ps(1.0f + static_cast<float>(i));
  const __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0x1p-12f), _mm512_set1_ps(0x1p-12f));
  const __m512bh b = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.75f), _mm512_set1_ps(0.75f));
  for (int64_t n = 0; n < iterations; ++n) {
    ATTENTION_UNROLL
    for (int i = 0; i < kChains; ++i) acc[i] = _mm512_dpbf16_ps(acc[i], a, b);
  }
  __m512 sum = acc[0];
  for (int i = 1; i < kChains; ++i) sum = _mm512_add_ps(sum, acc[i]);
  return _mm512_reduce_add_ps(sum);
}

double Bfloat16Flops(int64_t iterations) { return 2.0 * 32 * 12 * static_cast<double>(iterations); }
#endif

}  // namespace

double MeasurePeakGflops(Isa isa, DataType data_type, int threads, double seconds) {
  Require(threads >= 1, "threads: ", threads, "; at least 1");
  PeakFunctions functions = FunctionsOf(isa);
#if defined(__x86_64__)
  if (data_type == DataType::kBfloat16 && HasBfloat16Dot(isa)) {
    functions.run = Bfloat16Chains;
    functions.flops = Bfloat16Flops;
  }
#endif
  // Some tens of microseconds; interrupted slices lose against the fastest one.
  constexpr int64_t kIterations = 20000;
  std::vector<double> rates(threads, 0.0);
#pragma omp parallel num_threads(threads)
  {
    const Clock::time_point end =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    double best = 0;
    Clock::time_point before = Clock::now();
    do {
      Keep(functions.run(kIterations));
      const Clock::time_point after = Clock::now();
      best = std::max(best, functions.flops(kIterations) / Seconds(after - before));
      before = after;
    } while (before < end);
    rates[omp_get_thread_num()] = best;
  }
  double sum = 0;
  for (double rate : rates) sum += rate;
  return sum * 1e-9;
}

double MeasureReadBandwidth(Isa isa, int threads, const void* memory, size_t bytes, double seconds,
                            double stretch_seconds) {
  Require(threads >= 1, "threads: ", threads, "; at least 1");
  const PeakFunctions functions = FunctionsOf(isa);
  const size_t part = bytes / threads / 256 * 256;
  Require(part > 0, "too little memory to measure bandwidth on: ", bytes, " bytes");
  double best = 0;
  bool done = false;
  const Clock::time_point start = Clock::now();
#pragma omp parallel num_threads(threads)
  {
    const std::byte* mine = static_cast<const std::byte*>(memory) + part * omp_get_thread_num();
    Clock::time_point before;
    int64_t passes = 0;  // of the stretch; these two are the first thread's
    while (!done) {
#pragma omp barrier
      if (omp_get_thread_num() == 0 && passes == 0) before = Clock::now();
      Keep(functions.read(mine, part));
#pragma omp barrier
      if (omp_get_thread_num() == 0) {
        const Clock::time_point after = Clock::now();
        ++passes;
        if (Seconds(after - before) >= stretch_seconds) {
          best = std::max(best, static_cast<double>(part * threads * passes) / Seconds(after - before));
          done = Seconds(after - start) >= seconds;
          passes = 0;
        }
      }
#pragma omp barrier
    }
  }
  return best * 1e-9;
}

double MeasureClockGhz(double seconds) {
#if defined(__x86_64__)
  constexpr int64_t kIterations = 2000;
  constexpr int kAdditions = 20;
  const Clock::time_point end =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  double best = 0;
  uint64_t value = 1;
  const uint64_t step = 3;
  Clock::time_point before = Clock::now();
  do {
    for (int64_t n = 0; n < kIterations; ++n) {
      // Register to register: additions of constants can be folded before they are executed.
      asm volatile(".rept %c2\n\tadd %1, %0\n\t.endr" : "+r"(value) : "r"(step), "i"(kAdditions));
    }
    const Clock::time_point after = Clock::now();
    best = std::max(best, static_cast<double>(kIterations * kAdditions) / Seconds(after - before));
    before = after;
  } while (before < end);
  return best * 1e-9;
#else
  (void)seconds;
  return 0;
#endif
}

}  // namespace attention
#endif  // HWY_ONCE
