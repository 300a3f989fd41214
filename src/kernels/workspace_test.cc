// What a kernel allocates equals its formula, and online_softmax stays far below S^2.
#include <algorithm>
#include <cstdint>

#include "gtest/gtest.h"
#include "src/kernels/attention_kernel.h"
#include "src/kernels/simd/tile_kernels.h"

namespace attention {
namespace {

// Each array is rounded up to a cache line.
int64_t Array(int64_t elements, int64_t bytes = 4) { return (elements * bytes + 63) / 64 * 64; }
int64_t Up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

BackendConfig Config(AttentionAlgorithm algorithm, Isa isa, DataType type, int threads, int64_t tokens) {
  BackendConfig config;
  config.algorithm = algorithm;
  config.isa = isa;
  config.data_type = type;
  config.threads = threads;
  config.heads.group_size = 2;
  config.query_heads = 6;
  config.kv_heads = 3;
  config.head_dim = 100;
  config.max_query_tokens = config.max_kv_tokens = tokens;
  return config;
}

// One head of V: panels of tile_rows elements, an odd number of lines each; room for 512 segments of odd
// length where keys go in pairs, or as many as there are keys.
int64_t PackedValuesBytes(const BackendConfig& config, const TileKernels& kernels) {
  const int64_t odd = std::min<int64_t>(config.max_kv_tokens, 512);
  const int64_t keys = Up(config.max_kv_tokens, kernels.key_granule) + odd * (kernels.key_granule - 1);
  const int64_t lines = (keys * kernels.tile_rows * kernels.packed_bytes + 63) / 64 | 1;
  return lines * 64 * ((config.head_dim + kernels.tile_rows - 1) / kernels.tile_rows);
}

int64_t FewQueriesBytes(const BackendConfig& config, const TileKernels& kernels) {
  if (kernels.lanes / 2 == 0) return 0;
  const int64_t columns = 8, keys_per_run = 2048, units = config.batch * config.kv_heads;
  const int64_t splits = config.threads == 1 ? 1 : (4 * config.threads + units - 1) / units;
  return config.threads * (Array(columns * config.head_dim) + Array(columns * keys_per_run)) +
         units * splits * (Array(columns * config.head_dim) + 2 * Array(columns));
}

int64_t OnlineBytes(const BackendConfig& config, const TileKernels& kernels, const TileSizes& tiles) {
  const int64_t width = kernels.block_columns(), head_dim = Up(config.head_dim, kernels.tile_rows);
  const int64_t columns = Up(tiles.q_block * config.heads.group_size, width);
  const int64_t per_thread = Array(head_dim * columns, kernels.packed_bytes) + Array(head_dim * columns) +
                             2 * Array(columns) + Array(Up(tiles.kv_block, kernels.tile_rows) * width) +
                             3 * Array(width);
  return config.threads * per_thread +
         std::min<int64_t>(3, config.batch * config.kv_heads) * PackedValuesBytes(config, kernels) +
         FewQueriesBytes(config, kernels);
}

int64_t ExactBytes(const BackendConfig& config, const TileKernels& kernels) {
  const int64_t width = kernels.block_columns(), head_dim = Up(config.head_dim, kernels.tile_rows);
  // A matrix of all rows, shared out to the threads, and for each a block more than its share.
  const int64_t blocks = (config.max_query_tokens + width - 1) / width, threads = config.threads;
  const int64_t panels =
      config.algorithm == AttentionAlgorithm::kRowBlocked
          ? threads
          : threads * ((blocks + threads - 1) / threads + (threads > 1 && blocks > threads ? 1 : 0));
  const int64_t panel = Up(config.max_kv_tokens + kernels.tile_rows, kernels.tile_rows) * width;
  const int64_t packed_heads = std::min<int64_t>(3, config.batch * config.kv_heads);
  return config.threads * (2 * Array(head_dim * width) + 3 * Array(width)) +
         packed_heads * PackedValuesBytes(config, kernels) + panels * (Array(panel) + 2 * Array(width));
}

TEST(WorkspaceTest, EqualsItsFormula) {
  for (Isa isa : SupportedIsas()) {
    for (DataType type : {DataType::kFloat32, DataType::kBfloat16}) {
      for (AttentionAlgorithm algorithm : kAllAlgorithms) {
        for (int threads : {1, 3}) {
          for (int64_t tokens : {37, 700, 3001}) {
            const BackendConfig config = Config(algorithm, isa, type, threads, tokens);
            const TileKernels kernels = GetTileKernels(isa, type, config.head_dim);
            const auto kernel = MakeAttentionKernel(config);
            const int64_t expected = algorithm == AttentionAlgorithm::kOnlineSoftmax
                                         ? OnlineBytes(config, kernels, kernel->tiles())
                                         : ExactBytes(config, kernels);
            EXPECT_EQ(static_cast<int64_t>(kernel->workspace_bytes()), expected)
                << Name(algorithm) << " " << Name(isa) << " " << Name(type) << " " << threads << " "
                << tokens;
          }
        }
      }
    }
  }
}

// S = 65536, one head of 128: Q, K, V and O take 134 MB; everything together stays under 200 MB.
TEST(WorkspaceTest, OnlineSoftmaxOfALongSequenceIsSmall) {
  BackendConfig config = Config(AttentionAlgorithm::kOnlineSoftmax, BestIsa(), DataType::kFloat32, 2, 65536);
  config.query_heads = config.kv_heads = config.heads.group_size = 1;
  config.head_dim = 128;
  const int64_t tensors = int64_t{4} * 65536 * 128 * 4;
  EXPECT_LT(static_cast<int64_t>(MakeAttentionKernel(config)->workspace_bytes()) + tensors, 200'000'000);
}

}  // namespace
}  // namespace attention
