#include "peers/composite_attention.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "peers/row_softmax.h"
#include "src/base/aligned_buffer.h"
#include "src/base/error.h"

namespace attention::peers {
namespace {

std::string Way(const CompositeTiles& tiles) {
  return "q_block=" + std::to_string(tiles.q_block) +
         ";kv_block=" + (tiles.kv_block == 0 ? std::string("all") : std::to_string(tiles.kv_block));
}

// Memory: a query block's Q (q_block x D) and scores (q_block x S) should stay in L2 between the two
// products; K and V of a KV head stream through once per query block, 2 S D * 4 bytes for 4 q_block S D FLOP:
// the arithmetic intensity is q_block / 2 FLOP per byte, so small blocks pay in traffic (and in packing,
// which the library does anew for every call), large ones in scores that leave L2. Hence the tuning.
class Composite : public Contestant {
 public:
  Composite(const std::string& name, const CompositeTiles& tiles, const Problem& problem,
            MatrixMultiply& multiply)
      : Contestant(name, Way(tiles)),
        tiles_(tiles),
        problem_(problem),
        multiply_(multiply),
        // A stride that is a multiple of 4 KB would put a column of the block into one cache set.
        score_stride_(problem.workload().kv_tokens + 16),
        scores_(Bytes(tiles.q_block * score_stride_)),
        sums_(static_cast<size_t>(tiles.q_block)),
        output_(Bytes(problem.query_shape().elements())) {}

  double Run() override {
    const auto begin = std::chrono::steady_clock::now();
    const Workload& w = problem_.workload();
    // Without a mask the heads of a group are just more rows against the same keys.
    const int64_t heads_together = w.causal ? 1 : w.group_size();
    const int64_t rows = heads_together * w.query_tokens;
    for (int64_t head = 0; head < w.query_heads; head += heads_together) {
      for (int64_t row = 0; row < rows; row += tiles_.q_block) {
        Block(head, row, std::min(tiles_.q_block, rows - row));
      }
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  void ReadOutput(std::span<float> output) override {
    std::copy_n(output_.As<float>().data(), problem_.query_shape().elements(), output.data());
  }

 private:
  static size_t Bytes(int64_t elements) { return static_cast<size_t>(elements) * sizeof(float); }

  // Rows [first_row, first_row + rows) of the queries of `head` and the heads stored after it.
  void Block(int64_t head, int64_t first_row, int64_t rows) {
    const Workload& w = problem_.workload();
    const int64_t depth = w.head_dim;
    const int64_t kv_head = head / w.group_size();
    const int64_t keys = w.causal ? first_row + rows : w.kv_tokens;
    const int64_t kv_block = tiles_.kv_block == 0 ? keys : tiles_.kv_block;
    const float* q = problem_.q() + (head * w.query_tokens + first_row) * depth;
    const float* k = problem_.k() + kv_head * w.kv_tokens * depth;
    const float* v = problem_.v() + kv_head * w.kv_tokens * depth;
    float* output = output_.As<float>().data() + (head * w.query_tokens + first_row) * depth;
    float* scores = scores_.As<float>().data();

    const float scale = 1.0f / std::sqrt(static_cast<float>(depth));
    for (int64_t key = 0; key < keys; key += kv_block) {
      multiply_.Multiply(/*transpose_b=*/true, rows, std::min(kv_block, keys - key), depth, scale, q, depth,
                         k + key * depth, depth, 0.0f, scores + key, score_stride_);
    }
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t visible = w.causal ? first_row + row + 1 : keys;
      sums_[static_cast<size_t>(row)] = UnnormalizedSoftmax(scores + row * score_stride_, visible, keys);
    }
    for (int64_t key = 0; key < keys; key += kv_block) {
      multiply_.Multiply(/*transpose_b=*/false, rows, depth, std::min(kv_block, keys - key), 1.0f,
                         scores + key, score_stride_, v + key * depth, depth, key == 0 ? 0.0f : 1.0f, output,
                         depth);
    }
    for (int64_t row = 0; row < rows; ++row) {
      const float inverse = 1.0f / sums_[static_cast<size_t>(row)];
      for (int64_t d = 0; d < depth; ++d) output[row * depth + d] *= inverse;
    }
  }

  CompositeTiles tiles_;
  const Problem& problem_;
  MatrixMultiply& multiply_;
  int64_t score_stride_;
  AlignedBuffer scores_;
  std::vector<float> sums_;
  AlignedBuffer output_;
};

}  // namespace

std::unique_ptr<Contestant> MakeComposite(const std::string& name, const CompositeTiles& tiles,
                                          const Problem& problem, MatrixMultiply& multiply) {
  Require(tiles.q_block >= 1 && tiles.kv_block >= 0, "tiles of a composite must be positive");
  return std::make_unique<Composite>(name, tiles, problem, multiply);
}

Contestants MakeComposites(const std::string& name, const Problem& problem, MatrixMultiply& multiply) {
  const Workload& w = problem.workload();
  Contestants all;
  if (w.decode()) {
    // One row: a matrix-vector product per head. Two: both heads of a group read K and V together.
    for (const int64_t rows : {int64_t{1}, w.group_size()}) {
      for (const int64_t kv_block : {32, 64, 128, 256, 1024, 4096, 0}) {
        all.push_back(MakeComposite(name, {rows, kv_block}, problem, multiply));
      }
    }
    return all;
  }
  for (const int64_t q_block : {32, 64, 96, 128, 192, 256, 384, 512, 768}) {
    if (q_block > w.query_tokens) continue;
    all.push_back(MakeComposite(name, {q_block, 0}, problem, multiply));
  }
  return all;
}

}  // namespace attention::peers
