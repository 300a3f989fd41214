// Decoding a token allocates nothing but the book-keeping of its messages: fresh pages would be timed with
// it.
#include <gtest/gtest.h>
#include <mpi.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "src/kernels/attention_kernel.h"
#include "src/qwen3/decoder/model.h"
#include "src/qwen3/testing/online_variant.h"

namespace {
std::atomic<int64_t> allocated_bytes{0};
}  // namespace

// Everything of ours goes through these: containers, and AlignedBuffer. MPI's own memory is not counted.
[[gnu::noinline]] void* operator new(size_t bytes) {
  allocated_bytes += static_cast<int64_t>(bytes);
  if (void* memory = std::malloc(bytes > 0 ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }
extern "C" void* aligned_alloc(size_t alignment, size_t bytes) {
  allocated_bytes += static_cast<int64_t>(bytes);
  void* memory = nullptr;
  return posix_memalign(&memory, alignment, bytes) == 0 ? memory : nullptr;
}

namespace attention {
namespace {

// A message costs some hundred bytes of lists; a row of logits would be 160 KB, a step's buffers more.
constexpr int64_t kBookKeepingBytes = 32 << 10;

TEST(DecodeAllocationTest, ATokenAllocatesOnlyBookKeeping) {
  Communicator world(MPI_COMM_WORLD);
  Qwen3Config config;
  config.hidden_size = 64;
  config.intermediate_size = 96;
  config.layers = 2;
  config.query_heads = 4;
  config.kv_heads = 2;
  config.head_dim = 32;
  config.vocabulary_size = 40000;
  config.tied_embeddings = true;
  config.sliding_window = 5;
  const auto source = MakeSyntheticSource(1);
  for (const bool slides : {false, true}) {
    if (slides) config.layer_types = {LayerType::kSlidingAttention, LayerType::kFullAttention};
    for (const ParallelStrategy strategy : {ParallelStrategy::kHeadwise, ParallelStrategy::kSequence}) {
      ModelOptions options;
      options.variant = OnlineVariant(strategy);
      options.execution = {BestIsa(), 1, MakeAttentionKernel, true};
      options.max_tokens = 40;
      Qwen3Model model(
          world, ModelStorage::Load(world, config, *source, {strategy, DataType::kFloat32, 1, {}}), options);
      int64_t before = allocated_bytes;
      model.Prefill(std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7});
      EXPECT_GT(allocated_bytes - before, kBookKeepingBytes) << "the counters do not count";
      for (int token = 0; token < 20; ++token) {
        const int64_t next = model.GreedyNextTokens().front();
        before = allocated_bytes;
        model.Decode({&next, 1});
        (void)model.GreedyNextTokens();
        EXPECT_LT(allocated_bytes - before, kBookKeepingBytes)
            << Name(strategy) << " token " << token << (slides ? ", slides" : "");
      }
    }
  }
}

}  // namespace
}  // namespace attention
