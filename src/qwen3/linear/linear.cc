#include "src/qwen3/linear/linear.h"

#include <omp.h>

#include <algorithm>

#include "src/base/error.h"

namespace attention {
namespace {

// How a product is cut, and why.
//
// x is repacked into tiles of up to max_rows rows (14 on AVX-512), each tile [word][rows], so that the
// kernel broadcasts from one stream; a word is an input, or a pair of them rounded to bf16. Inputs are cut
// into blocks of kInputBlock: within a block a tile's sums stay in registers, so a result element moves once
// per block. Rows are cut so that one block of x (kRowBlockBytes) stays in L2 while every panel of weights
// passes over it; a panel is then read from memory or L3 once per row block and from L2 for the other tiles.
// With 1024 rows and inputs: 9 passes over the weights in 1024 * 9 tile-rows of compute, about 1 byte per
// core and cycle.
//
// Threads: with half a row block or more for each, they share out the rows, and each packs a block of x just
// before it is used, in L2 (1024 rows of 3072 inputs, packed at once beforehand, are 25 MB that pass through
// L3, 6 % of the product's time; 128 rows gain 1.6 %, as a core reads what it packed itself and passes over
// the weights once). With fewer rows they share out the panels, so that each weight is read by one of them,
// and x is packed once for all (one row is packed as it lies; 96 rows of two threads lose 1.3 % otherwise).
// Panels handed out as threads ask for them, in runs that become shorter, were slower: 1 to 6 % in decode, 2
// % with 64 rows; streams end more often, and the halves take the same time to 1 %.
//
// That byte is hidden by asking for the next panel, a slice of it per tile, while this one is multiplied: of
// 5 tiles (64 rows) the first would otherwise wait for memory about as long as it computes. A single tile
// (decode) asks for its own panel AheadBytes() further on instead, and takes all inputs at once if they fit:
// one stream of weights from beginning to end.
constexpr int64_t kInputBlock = 1024;
constexpr int64_t kRowBlockBytes = 480 << 10;
// Half a row block: with as many rows for each thread, threads share out rows, not panels.
int64_t RowsApart(const LinearKernels& kernels) {
  return kRowBlockBytes / (kernels.Words(kInputBlock) * int64_t{sizeof(float)}) / 2;
}
// Covers memory's latency; the hardware prefetcher stops at 4 KB pages, this does not. bf16 asks less of a
// line and needs more of them under way: as a fraction of plain loads, one Zen 5 core, 2, 4, 6, 8, 12, 16 KB
// ahead give .91, .96, .97, .98, .95, .93 for bf16 and .97, .97, .98, .96, .96, .96 for fp32.
int64_t AheadBytes(DataType weights) { return weights == DataType::kBfloat16 ? 8 << 10 : 6 << 10; }

struct Cut {
  int64_t rows;
  int64_t tiles;  // as even as possible: 128 rows are 10 tiles of 13 or 12, not 9 of 14 and one of 2

  int64_t Begin(int64_t tile) const { return tile * rows / tiles; }
  int Size(int64_t tile) const { return static_cast<int>(Begin(tile + 1) - Begin(tile)); }
};

struct TileRange {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

// The last panel may have fewer than 32 outputs: its tile goes through a buffer.
void RunTile(LinearTile kernel, int rows, const float* a, const std::byte* panel, int64_t inputs,
             float* result, int64_t stride, int64_t outputs, bool add, const ReadAhead& ahead) {
  if (outputs == kPanelOutputs) return kernel(a, panel, inputs, result, stride, add, ahead);
  float buffer[kMaxTileRows * kPanelOutputs];
  kernel(a, panel, inputs, buffer, kPanelOutputs, false, ahead);
  for (int r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < outputs; ++j) {
      float& element = result[r * stride + j];
      element = (add ? element : 0.0f) + buffer[r * kPanelOutputs + j];
    }
  }
}

// One product, cut. Everything is const but y and the packed x.
class Product {
 public:
  Product(const LinearKernels& kernels, const ConstRows& x, const PackedMatrixView& weights, Store store,
          const Rows& y, float* packed)
      : kernels_(kernels),
        x_(x),
        weights_(weights),
        store_(store),
        y_(y),
        packed_(packed),
        is_packed_(x.rows == 1 && kernels.convert == nullptr),
        cut_{x.rows, (x.rows + kernels.max_rows - 1) / kernels.max_rows} {
    const bool one_stream =
        cut_.tiles == 1 && x.rows * kernels.Words(weights.inputs) * int64_t{sizeof(float)} <= kRowBlockBytes;
    block_inputs_ = one_stream ? std::max<int64_t>(1, weights.inputs) : kInputBlock;
  }

  int64_t tiles() const { return cut_.tiles; }
  int64_t input_blocks() const {
    return std::max<int64_t>(1, (weights_.inputs + block_inputs_ - 1) / block_inputs_);
  }

  // For several threads that share x: all of it is packed first, a block of inputs behind the blocks before
  // it, then each thread takes some panels. One row is its own packed form.
  bool is_packed() const { return is_packed_; }
  void Pack(int64_t block, int64_t tile) const { PackTile(block, tile, Shared(block, tile)); }
  void RunPanels(int64_t first_panel, int64_t last_panel) const {
    for (int64_t block = 0; block < input_blocks(); ++block) {
      const int64_t row_blocks = RowBlocks(Length(block));
      for (int64_t rows = 0; rows < row_blocks; ++rows) {
        const TileRange tiles = TilesOf(rows, row_blocks);
        const float* packed = is_packed_ ? x_.data + Input(block) : Shared(block, tiles.begin);
        for (int64_t panel = first_panel; panel < last_panel; ++panel) {
          RunPanel(block, tiles, packed, panel, panel + 1 < last_panel);
        }
      }
    }
  }

  // For one thread: x is packed block by block into the same memory.
  void RunAlone() const {
    const int64_t row_blocks = RowBlocks(std::min(block_inputs_, weights_.inputs));
    for (int64_t rows = 0; rows < row_blocks; ++rows) {
      const TileRange tiles = TilesOf(rows, row_blocks);
      for (int64_t block = 0; block < input_blocks(); ++block) {
        for (int64_t tile = tiles.begin; tile < tiles.end; ++tile) {
          PackTile(block, tile, packed_ + InBlock(block, tiles, tile));
        }
        for (int64_t panel = 0; panel < weights_.panels(); ++panel) {
          RunPanel(block, tiles, packed_, panel, panel + 1 < weights_.panels());
        }
      }
    }
  }

 private:
  int64_t Input(int64_t block) const { return block * block_inputs_; }
  int64_t Length(int64_t block) const { return std::min(block_inputs_, weights_.inputs - Input(block)); }
  int64_t RowBlocks(int64_t inputs) const {
    const int64_t tile_bytes =
        kernels_.max_rows * std::max<int64_t>(kernels_.Words(inputs), 1) * int64_t{sizeof(float)};
    const int64_t most = std::max<int64_t>(1, kRowBlockBytes / tile_bytes);
    return (cut_.tiles + most - 1) / most;
  }
  TileRange TilesOf(int64_t row_block, int64_t row_blocks) const {
    return {row_block * cut_.tiles / row_blocks, (row_block + 1) * cut_.tiles / row_blocks};
  }

  // Where a tile lies: all of x packed, or a row block of one block of inputs.
  float* Shared(int64_t block, int64_t tile) const {
    return packed_ + kernels_.Words(Input(block)) * x_.rows +
           cut_.Begin(tile) * kernels_.Words(Length(block));
  }
  int64_t InBlock(int64_t block, const TileRange& tiles, int64_t tile) const {
    return (cut_.Begin(tile) - cut_.Begin(tiles.begin)) * kernels_.Words(Length(block));
  }

  void PackTile(int64_t block, int64_t tile, float* packed) const {
    const float* x = x_.data + cut_.Begin(tile) * x_.stride + Input(block);
    const int rows = cut_.Size(tile);
    const int64_t inputs = Length(block);
    if (kernels_.convert == nullptr) return kernels_.pack(x, x_.stride, rows, inputs, packed);
    // Words of a few inputs of every row, in L1, on their way.
    constexpr int64_t kRun = 256;
    float words[kMaxTileRows * kRun];
    for (int64_t i = 0; i < inputs; i += kRun) {
      const int64_t length = std::min(kRun, inputs - i);
      for (int r = 0; r < rows; ++r) kernels_.convert(x + r * x_.stride + i, length, words + r * kRun);
      kernels_.pack(words, kRun, rows, kernels_.Words(length), packed + kernels_.Words(i) * rows);
    }
  }

  void RunPanel(int64_t block, const TileRange& tiles, const float* packed, int64_t panel,
                bool has_next) const {
    const int64_t row_bytes = weights_.input_bytes(), length = Length(block);
    const std::byte* data = weights_.Panel(panel) + Input(block) * row_bytes;
    const std::byte* next = data + (has_next ? weights_.panel_bytes : 0);
    const int64_t outputs = std::min(kPanelOutputs, weights_.outputs - panel * kPanelOutputs);
    const bool add = block > 0 || store_ == Store::kAdd;
    for (int64_t tile = tiles.begin; tile < tiles.end; ++tile) {
      const ReadAhead ahead = tiles.size() == 1
                                  ? ReadAhead{data + AheadBytes(weights_.data_type), row_bytes}
                                  : ReadAhead{next + (tile - tiles.begin) * length * row_bytes / tiles.size(),
                                              (row_bytes + tiles.size() - 1) / tiles.size()};
      RunTile(kernels_.tiles[cut_.Size(tile) - 1], cut_.Size(tile), packed + InBlock(block, tiles, tile),
              data, length, y_.data + cut_.Begin(tile) * y_.stride + panel * kPanelOutputs, y_.stride,
              outputs, add, ahead);
    }
  }

  const LinearKernels& kernels_;
  ConstRows x_;
  PackedMatrixView weights_;
  Store store_;
  Rows y_;
  float* packed_;
  bool is_packed_;
  Cut cut_;
  int64_t block_inputs_;
};

}  // namespace

Linear::Linear(Isa isa, int threads, int64_t max_rows, int64_t max_inputs, DataType activations)
    : isa_(isa),
      activations_(activations),
      threads_(threads),
      packed_(static_cast<size_t>(CheckedProduct(CheckedProduct(max_rows, max_inputs, "linear workspace"),
                                                 sizeof(float), "linear workspace"))) {}

void Linear::Run(const ConstRows& x, const PackedMatrixView& weights, Store store, const Rows& y) {
  Require(x.rows == y.rows, "linear layer: ", x.rows, " rows in, ", y.rows, " rows out");
  Require(x.rows * weights.inputs <= static_cast<int64_t>(packed_.As<float>().size()),
          "linear layer: ", x.rows, " rows of ", weights.inputs,
          " inputs are more than the workspace was made for");
  const LinearKernels kernels = GetLinearKernels(isa_, weights.data_type, activations_);
  if (x.rows == 0 || weights.outputs == 0) return;
  float* packed = packed_.As<float>().data();
  if (x.rows >= threads_ * RowsApart(kernels)) {
#pragma omp parallel for num_threads(threads_) if (threads_ > 1)
    for (int thread = 0; thread < threads_; ++thread) {
      const int64_t begin = x.rows * thread / threads_, rows = x.rows * (thread + 1) / threads_ - begin;
      Product(kernels, {x.data + begin * x.stride, rows, x.stride}, weights, store,
              {y.data + begin * y.stride, rows, y.stride}, packed + begin * kernels.Words(weights.inputs))
          .RunAlone();
    }
    return;
  }
  const Product product(kernels, x, weights, store, y, packed);
#pragma omp parallel num_threads(threads_)
  {
    if (!product.is_packed()) {
#pragma omp for collapse(2) schedule(static)
      for (int64_t block = 0; block < product.input_blocks(); ++block) {
        for (int64_t tile = 0; tile < product.tiles(); ++tile) product.Pack(block, tile);
      }
    }
    const int64_t thread = omp_get_thread_num(), team = omp_get_num_threads();
    product.RunPanels(weights.panels() * thread / team, weights.panels() * (thread + 1) / team);
  }
}

}  // namespace attention
