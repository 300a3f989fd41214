#include "src/qwen3/linear.h"

#include <omp.h>

#include <algorithm>

#include "src/base/error.h"

namespace attention {
namespace {

// How a product is cut, and why.
//
// x is repacked once into tiles of up to max_rows rows (14 on AVX-512), each tile [input][rows], so that the
// kernel broadcasts from one stream. Inputs are cut into blocks of kInputBlock: within a block a tile's sums
// stay in registers, so a result element moves once per block. Rows are cut so that one block of x
// (kRowBytes) stays in L2 while every panel of weights passes over it; a panel is then read from memory or L3
// once per row block and from L2 for the other tiles. With 1024 rows and inputs: 9 passes over the weights in
// 1024 * 9 tile-rows of compute, about 1 byte per core and cycle; prefetching hides it.
constexpr int64_t kInputBlock = 1024;
constexpr int64_t kRowBlockBytes = 480 << 10;

struct Cut {
  int64_t rows;
  int64_t tiles;  // as even as possible: 128 rows are 10 tiles of 13 or 12, not 9 of 14 and one of 2

  int64_t Begin(int64_t tile) const { return tile * rows / tiles; }
  int Size(int64_t tile) const { return static_cast<int>(Begin(tile + 1) - Begin(tile)); }
};

// Rows [begin, begin + count) of inputs [input, input + length) -> packed[length][count].
void PackTile(const ConstRows& x, int64_t begin, int count, int64_t input, int64_t length, float* packed) {
  for (int r = 0; r < count; ++r) {
    const float* row = x.data + (begin + r) * x.stride + input;
    for (int64_t i = 0; i < length; ++i) packed[i * count + r] = row[i];
  }
}

// The last panel may have fewer than 32 outputs: its tile goes through a buffer.
void RunTile(LinearTile kernel, int rows, const float* a, const std::byte* panel, int64_t inputs,
             float* result, int64_t stride, int64_t outputs, bool add) {
  if (outputs == kPanelOutputs) return kernel(a, panel, inputs, result, stride, add);
  float buffer[kMaxTileRows * kPanelOutputs];
  kernel(a, panel, inputs, buffer, kPanelOutputs, false);
  for (int r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < outputs; ++j) {
      float& element = result[r * stride + j];
      element = (add ? element : 0.0f) + buffer[r * kPanelOutputs + j];
    }
  }
}

}  // namespace

Linear::Linear(Isa isa, int threads, int64_t max_rows, int64_t max_inputs)
    : kernels_(&GetLinearKernels(isa)),
      threads_(threads),
      packed_(static_cast<size_t>(CheckedProduct(CheckedProduct(max_rows, max_inputs, "linear workspace"),
                                                 sizeof(float), "linear workspace"))) {}

void Linear::Run(const ConstRows& x, const PackedMatrixView& weights, Store store, const Rows& y) {
  Require(x.rows == y.rows, "linear layer: ", x.rows, " rows in, ", y.rows, " rows out");
  Require(x.rows * weights.inputs <= static_cast<int64_t>(packed_.As<float>().size()),
          "linear layer: ", x.rows, " rows of ", weights.inputs,
          " inputs are more than the workspace was made for");
  if (x.rows == 0 || weights.outputs == 0) return;
  const Cut cut{x.rows, (x.rows + kernels_->max_rows - 1) / kernels_->max_rows};
  const int64_t input_blocks = std::max<int64_t>(1, (weights.inputs + kInputBlock - 1) / kInputBlock);
  float* packed = packed_.As<float>().data();

#pragma omp parallel num_threads(threads_)
  {
    // Block b of inputs is packed behind the blocks before it, its tiles one after the other.
#pragma omp for collapse(2) schedule(static)
    for (int64_t block = 0; block < input_blocks; ++block) {
      for (int64_t tile = 0; tile < cut.tiles; ++tile) {
        const int64_t input = block * kInputBlock, length = std::min(kInputBlock, weights.inputs - input);
        PackTile(x, cut.Begin(tile), cut.Size(tile), input, length,
                 packed + input * x.rows + cut.Begin(tile) * length);
      }
    }
    const int64_t thread = omp_get_thread_num(), team = omp_get_num_threads();
    const int64_t first_panel = weights.panels() * thread / team;
    const int64_t last_panel = weights.panels() * (thread + 1) / team;
    for (int64_t block = 0; block < input_blocks; ++block) {
      const int64_t input = block * kInputBlock, length = std::min(kInputBlock, weights.inputs - input);
      const bool add = block > 0 || store == Store::kAdd;
      const int64_t tile_bytes = kernels_->max_rows * std::max<int64_t>(length, 1) * int64_t{sizeof(float)};
      const int64_t step = std::max<int64_t>(1, kRowBlockBytes / tile_bytes);
      for (int64_t first = 0; first < cut.tiles; first += step) {
        for (int64_t panel = first_panel; panel < last_panel; ++panel) {
          const std::byte* panel_data = weights.Panel(panel) + input * weights.input_bytes();
          const int64_t outputs = std::min(kPanelOutputs, weights.outputs - panel * kPanelOutputs);
          for (int64_t tile = first; tile < std::min(first + step, cut.tiles); ++tile) {
            RunTile(kernels_->Get(weights.data_type, cut.Size(tile)), cut.Size(tile),
                    packed + input * x.rows + cut.Begin(tile) * length, panel_data, length,
                    y.data + cut.Begin(tile) * y.stride + panel * kPanelOutputs, y.stride, outputs, add);
          }
        }
      }
    }
  }
}

}  // namespace attention
