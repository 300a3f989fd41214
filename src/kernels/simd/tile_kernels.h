// The SIMD operations the algorithms are made of, as one table of functions per ISA.
//
// Layouts (float32, 64-byte aligned): a *column* is one query row of one head. Columns come in *blocks* of up
// to `block_columns()`; a block of `vectors` vectors has width W = vectors * lanes and is stored
//   q, o     [head_dim rounded up to tile_rows][W]   transposed queries; transposed un-normalised output
//   scores   [keys rounded up to tile_rows][W]       S^T, then softmax weights
//   m, l     [W]                                     running max (base-2 logits) and sum
// With bf16 products (packed_bytes 2) elements of head_dim in q, and keys in values and weights, go in pairs.
// Values are packed in panels of `tile_rows` head_dim elements: panel p, key k, element i at
// values[p * panel_stride + k * tile_rows + i].
//
// Logits are in base 2 inside: the queries are scaled by scale * log2(e), weights are 2^(s - m).
#ifndef SRC_KERNELS_SIMD_TILE_KERNELS_H_
#define SRC_KERNELS_SIMD_TILE_KERNELS_H_

#include <cstdint>

#include "src/base/data_type.h"
#include "src/simd/isa.h"

namespace attention {

// Upper bounds over all ISAs, of a block's columns plus one vector, and of its vectors.
inline constexpr int64_t kMaxBlockColumns = 64;
inline constexpr int kMaxBlockVectors = 4;

struct ScoreArguments {
  const void* k = nullptr;  // first key, of the inputs' type; row i at k + i * k_stride (elements)
  int64_t k_stride = 0;
  int64_t keys = 0;
  // Keys [unmasked_begin, unmasked_end) every column sees.
  int64_t unmasked_begin = 0;
  int64_t unmasked_end = 0;
  // Column c sees key i iff first_keys[c] <= i <= limits[c]; limits[c] < keys. Read only outside of the
  // unmasked keys. first_keys null: every column sees the first key.
  const int32_t* limits = nullptr;
  const int32_t* first_keys = nullptr;
  // Vector j of the block sees no key from vector_keys[j] on; rising, multiples of tile_rows or `keys`, the
  // last one `keys`. Scores beyond are not written. Null: every vector goes to `keys`.
  const int32_t* vector_keys = nullptr;
  const void* q = nullptr;  // packed
  float scale = 1;          // the scale given to pack_queries
  int64_t head_dim = 0;
  int vectors = 0;
  float* scores = nullptr;
  float* maximum = nullptr;  // [W], in and out: max(maximum, scores of the column)
};

struct ExponentialArguments {
  float* scores = nullptr;
  int64_t keys = 0;
  const int32_t* vector_keys = nullptr;  // as in ScoreArguments
  int vectors = 0;
  const float* maximum = nullptr;  // [W]
  float* sum = nullptr;            // [W], in and out
};

struct WeightedSumArguments {
  const float* scores = nullptr;
  int64_t keys = 0;
  const int32_t* vector_keys = nullptr;  // as in ScoreArguments
  const void* values = nullptr;          // packed
  int64_t panel_stride = 0;
  int64_t head_dim = 0;
  int vectors = 0;
  const float* rescale = nullptr;  // [W]: o is multiplied by it first; null: o is overwritten
  float* o = nullptr;
};

// Few query columns (see few_queries-inl.h), up to kMostFewColumns: scores and weights are rows,
// scores[c * scores_stride + key]; q and o are rows of head_dim floats, one per column.
inline constexpr int64_t kMostFewColumns = 8;
struct FewScoresArguments {
  const void* k = nullptr;  // of float, Bfloat16, or int8_t (base/int8_row.h)
  int64_t k_stride = 0;
  int64_t keys = 0;
  const float* q = nullptr;
  const void* packed_q = nullptr;  // by pack_few_queries where the table has it
  int64_t columns = 0;
  int64_t head_dim = 0;
  float* scores = nullptr;
  int64_t scores_stride = 0;  // at least keys rounded up to lanes
};
struct FewWeightedSumArguments {
  const float* scores = nullptr;  // readable up to a multiple of lanes
  int64_t scores_stride = 0;
  int64_t columns = 0;
  const void* v = nullptr;  // as k
  int64_t v_stride = 0;
  int64_t keys = 0;
  int64_t head_dim = 0;
  float* o = nullptr;
};

struct TileKernels {
  int lanes;
  int tile_rows;
  int tile_vectors;
  int packed_bytes;  // of an element of packed queries and values: 4, or 2 where bf16 is multiplied as it is
  int key_granule;   // packed values of a segment start at a multiple of it

  int block_columns() const { return lanes * tile_vectors; }

  // rows[c][d] * scale -> columns[d * W + c]; a null row gives zeros, as do d from head_dim up to a multiple
  // of tile_rows. rows (of the inputs' type) holds one vector more than the block, which is only fetched into
  // cache. bf16 products keep the queries unscaled, as pairs of head_dim, and apply the scale to the scores.
  void (*pack_queries)(const void* const* rows, int64_t head_dim, int vectors, float scale, void* columns);
  // The same from float rows, unscaled: a state's o.
  void (*pack_state)(const void* const* rows, int64_t head_dim, int vectors, float* columns);
  // o[d * W + c] * factors[c] -> rows[c][d] for non-null rows. stream: past the caches where whole lines
  // allow.
  void (*unpack_columns)(const float* o, int64_t head_dim, int vectors, const float* factors,
                         float* const* rows, bool stream);
  // flags[c] becomes NaN if l[c] or an o of column c is not finite, else 0.
  void (*flag_non_finite)(const float* o, int64_t head_dim, int vectors, const float* l, float* flags);
  // keys rows of head_dim at v + k * v_stride -> panels, padded with zeros to whole panels.
  void (*pack_values)(const void* v, int64_t v_stride, int64_t keys, int64_t head_dim, int64_t panel_stride,
                      void* values);
  // S^T = K Q^T for one block, -inf where masked, with the running maximum.
  void (*scores)(const ScoreArguments& arguments);
  // scores -> 2^(scores - maximum), in place; adds the column's sum to sum[c]. A column whose maximum is
  // -inf (it saw nothing) gets zeros.
  void (*exponentials)(const ExponentialArguments& arguments);
  // Moving from maximum `m` to `new_m`: m = new_m, l = l * rescale, rescale = 2^(m - new_m) (0 from empty).
  void (*move_maximum)(int vectors, const float* new_m, float* m, float* l, float* rescale);
  // O^T = O^T * rescale + V^T P^T for one block.
  void (*weighted_sum)(const WeightedSumArguments& arguments);
  // Rows of head_dim floats, one per column -> what few_scores takes beside them: few_query_bytes a column.
  // Null and 0 where it takes them as they are.
  void (*pack_few_queries)(const float* q, int64_t columns, int64_t head_dim, void* packed);
  int64_t few_query_bytes;
  // Few query columns: scores = q K^T; o += weights V.
  void (*few_scores)(const FewScoresArguments& arguments);
  void (*few_weighted_sum)(const FewWeightedSumArguments& arguments);
  // One column's scores of `keys` keys -> weights, the keys from `visible` on hidden; moves m and l, returns
  // the factor o has to be multiplied by.
  float (*few_softmax)(float* scores, int64_t visible, int64_t keys, float* m, float* l);
  // 2^x element by element (for tests of its accuracy), n a multiple of lanes.
  void (*exp2)(const float* x, int64_t n, float* result);
};

// The table of an ISA this binary holds and this CPU runs, for inputs of a type. bf16 is multiplied by the
// CPU's bf16 instructions (AVX512_BF16, even head_dim), else widened to float32 on the way in. int8 is of
// keys and values alone: what takes few query columns reads it (by AVX512_VNNI, where head_dim is a multiple
// of 64), the rest is as for float32.
TileKernels GetTileKernels(Isa isa, DataType data_type = DataType::kFloat32, int64_t head_dim = 2);

}  // namespace attention

#endif  // SRC_KERNELS_SIMD_TILE_KERNELS_H_
