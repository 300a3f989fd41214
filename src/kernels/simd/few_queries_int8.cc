// Few query columns (decode) over int8 rows by integer dot products (AVX512_VNNI): vpdpbusd multiplies four
// unsigned by four signed bytes and adds the products to a 32-bit lane.
//
// Widened to float32 first (few_queries-inl.h), a row of 128 int8 costs 8 sign extensions and 8 conversions
// beside its multiply-adds, and two columns take some 25 cycles where memory needs 12. Here rows stay bytes,
// and queries and weights become fixed-point numbers of three digits in base 256:
//   q = 2^e (65536 a + 256 b + c),  a, b, c in [-128, 127];   weight = 2^e (65536 a + 256 b + c),  in [0,
//   255]
// with one e for a column, or for a column and a run of 64 keys. So
//   sum of q k = 2^e (65536 sum of a k + 256 sum of b k + sum of c k)
// takes three products of bytes instead of one of floats, and no conversion of k. Integer sums are exact. As
// e is the least that holds the largest number of the column or run, a query is off by at most 2^-23 of the
// largest |q|, a weight by 2^-24 of the largest weight: in the norm of a row of scores or outputs that is
// what float32 rounds anyway, though small numbers beside a very large one lose what float32 would keep.
// Weights are not negative, as softmax makes them.
//
// Scores: a lane holds four elements of head_dim. The words (four bytes) of four keys are transposed within
// the 128-bit lanes, so that lane 4 L + r belongs to key r and to four elements of the L-th 16 of 64; a
// query's digits lie the same way. Sums over L at the end give four keys' scores, and sixteen for four such
// groups. Keys are the unsigned operand, as k + 128; sums start at -128 (sum of the digits) to make up for
// it. Weighted sum: the bytes of four values are interleaved, so that a lane is an element of head_dim and
// its four bytes belong to four keys; the digits of the four weights are one word for all lanes. o is added
// to in float32 once a run.
//
// Software prefetch: in the order of the addresses, 16 keys at a time (scores) or 4 (weighted sum). Measured
// on a Zen 5 core over 34 MB, two columns, 8 KB ahead, as a fraction of plain loads over the same: .98 and
// .88; scores with 8 keys at a time .60, with 4 .45. A whole step over 32768 keys reaches .65 of the read
// bandwidth 8 KB ahead, .73 at 12, .71 at 16, .68 at 24. In L1 a row takes 2.2 and 1.9 ns, and .3 for the
// scale of each; memory needs 2.7.
#include "src/kernels/simd/few_queries_int8.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "src/base/tensor_view.h"
#include "src/simd/int8_dot.h"
#include "src/simd/unroll.h"

#if !defined(__clang__)
// At -O3, or where it joins variables, GCC 12 keeps 16 of 24 sums in memory: 3.9 instead of 1.9 ns a row.
#pragma GCC optimize("O2", "no-tree-coalesce-vars")
#endif

ATTENTION_BEFORE_INT8_DOT

namespace attention {
namespace {

constexpr int64_t kLine = 64;  // bytes of a vector, and elements of a row in one
constexpr int kDigits = 3;
constexpr int kWords = 4;         // of a 128-bit lane
constexpr int kGroup = 4;         // keys whose words, or bytes, meet in a vector
constexpr int64_t kBlock = 16;    // keys of one call of ScoreBlock
constexpr int64_t kWeights = 64;  // keys whose weights are cut together
constexpr int64_t kMostRowBytes = kMaxHeadDim + sizeof(float);
constexpr int64_t kAheadBytes = 12 << 10;
constexpr uint32_t kInfinityBits = 0x7F800000u;

// Of rows that follow each other, as a head's do in a cache, every line; else each row's own.
HWY_INLINE void FetchAhead(const int8_t* rows, int64_t stride, int64_t count, int64_t head_dim) {
  const int64_t row_bytes = head_dim + static_cast<int64_t>(sizeof(float));
  const bool is_dense = stride <= row_bytes + kLine;
  const int64_t runs = is_dense ? 1 : count, bytes = is_dense ? count * stride : row_bytes;
  for (int64_t i = 0; i < runs; ++i) {
    for (int64_t at = 0; at < bytes; at += kLine) {
      __builtin_prefetch(rows + i * stride + kAheadBytes + at, 0, 3);
    }
  }
}

// A query column as the scores take it, in vectors of 64 bytes; of a pair of columns, each part of the second
// lies behind the same part of the first.
constexpr int64_t PackedBytes(int64_t head_dim) { return kLine + kDigits * kLine + kDigits * 4 * head_dim; }

// Parts of `columns` (1 or 2) columns packed together.
struct PackedQueries {
  int columns;
  // The exponent e, as a float in all lanes.
  int64_t Exponent(int c) const { return c * kLine; }
  // Where the sums start.
  int64_t Start(int c, int digit) const { return (columns + c * kDigits + digit) * kLine; }
  // Words `word` of the 128-bit lanes of the chunk-th 64 elements.
  int64_t Words(int64_t chunk, int word, int c, int digit) const {
    return (columns * (1 + kDigits) + ((chunk * kWords + word) * columns + c) * kDigits + digit) * kLine;
  }
};

// The bits of the largest |x|; infinities and NaN are above all others.
HWY_INLINE uint32_t LargestBits(const float* x, int64_t count) {
  const __m512i size = _mm512_set1_epi32(0x7FFFFFFF);
  __m512i largest = _mm512_setzero_si512();
  for (int64_t i = 0; i < count; i += 16) {
    largest = _mm512_max_epu32(largest, _mm512_and_si512(size, _mm512_loadu_si512(x + i)));
  }
  return _mm512_reduce_max_epu32(largest);
}

HWY_INLINE float FloatOfBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// One column. If not all of it is finite, its scores become NaN, so that its row is computed anew another way
// (RepairRow).
HWY_INLINE void PackColumn(const float* q, int64_t head_dim, const PackedQueries& at, int c, int8_t* packed) {
  constexpr int kTop = 127 * (65536 + 256 + 1);  // 127 in each digit
  const uint32_t bits = LargestBits(q, head_dim);
  const bool is_finite = bits < kInfinityBits;
  const float largest = is_finite ? FloatOfBits(bits) : 0.0f;
  int exponent = largest == 0 ? 0 : std::ilogb(largest) - 22;
  if (std::scalbn(largest, -exponent) > static_cast<float>(kTop)) ++exponent;
  const __m512 up = _mm512_set1_ps(static_cast<float>(-exponent));
  _mm512_store_ps(
      packed + at.Exponent(c),
      _mm512_set1_ps(is_finite ? static_cast<float>(exponent) : std::numeric_limits<float>::quiet_NaN()));
  const __m512i biases = _mm512_set1_epi8(static_cast<char>(0x80));
  __m512i start[kDigits] = {};
  for (int64_t chunk = 0; chunk < head_dim / kLine; ++chunk) {
    alignas(64) int8_t digits[kDigits][kLine];
    for (int64_t i = 0; i < kLine; i += 16) {
      const __m512 x = is_finite ? _mm512_loadu_ps(q + chunk * kLine + i) : _mm512_setzero_ps();
      __m512i rest = _mm512_cvtps_epi32(_mm512_scalef_ps(x, up));
      for (int digit = kDigits - 1; digit >= 0; --digit) {
        const __m512i last = _mm512_srai_epi32(_mm512_slli_epi32(rest, 24), 24);
        _mm_store_si128(reinterpret_cast<__m128i*>(digits[digit] + i), _mm512_cvtepi32_epi8(last));
        rest = _mm512_srai_epi32(_mm512_sub_epi32(rest, last), 8);
      }
    }
    for (int digit = 0; digit < kDigits; ++digit) {
      const __m512i line = _mm512_load_si512(digits[digit]);
      const __m512i words[kWords] = {
          _mm512_shuffle_epi32(line, _MM_PERM_AAAA), _mm512_shuffle_epi32(line, _MM_PERM_BBBB),
          _mm512_shuffle_epi32(line, _MM_PERM_CCCC), _mm512_shuffle_epi32(line, _MM_PERM_DDDD)};
      for (int word = 0; word < kWords; ++word) {
        _mm512_store_si512(packed + at.Words(chunk, word, c, digit), words[word]);
        start[digit] = _mm512_dpbusd_epi32(start[digit], biases, words[word]);
      }
    }
  }
  for (int digit = 0; digit < kDigits; ++digit) {
    _mm512_store_si512(packed + at.Start(c, digit), _mm512_sub_epi32(_mm512_setzero_si512(), start[digit]));
  }
}

// See TileKernels::pack_few_queries.
void PackFewQueries(const float* q, int64_t columns, int64_t head_dim, void* packed) {
  int8_t* to = static_cast<int8_t*>(packed);
  for (int64_t column = 0; column < columns; column += 2) {
    const PackedQueries at{static_cast<int>(std::min<int64_t>(2, columns - column))};
    for (int c = 0; c < at.columns; ++c) {
      PackColumn(q + (column + c) * head_dim, head_dim, at, c, to + column * PackedBytes(head_dim));
    }
  }
}

struct Words {
  __m512i word[kWords];
};

// 64 bytes of four keys, plus 128 each, as words: [128-bit lane][key].
HWY_INLINE Words WordsOfKeys(const int8_t* row, int64_t stride) {
  const __m512i bias = _mm512_set1_epi8(static_cast<char>(0x80));
  const __m512i key0 = _mm512_xor_si512(_mm512_loadu_si512(row), bias);
  const __m512i key1 = _mm512_xor_si512(_mm512_loadu_si512(row + stride), bias);
  const __m512i key2 = _mm512_xor_si512(_mm512_loadu_si512(row + 2 * stride), bias);
  const __m512i key3 = _mm512_xor_si512(_mm512_loadu_si512(row + 3 * stride), bias);
  const __m512i low01 = _mm512_unpacklo_epi32(key0, key1), high01 = _mm512_unpackhi_epi32(key0, key1);
  const __m512i low23 = _mm512_unpacklo_epi32(key2, key3), high23 = _mm512_unpackhi_epi32(key2, key3);
  return {{_mm512_unpacklo_epi64(low01, low23), _mm512_unpackhi_epi64(low01, low23),
           _mm512_unpacklo_epi64(high01, high23), _mm512_unpackhi_epi64(high01, high23)}};
}

// 65536 a + 256 b + c, where the sums of the digits' products are a, b and c.
HWY_INLINE __m512 Join(const __m512i (&digits)[kDigits]) {
  __m512 sum = _mm512_cvtepi32_ps(digits[0]);
  ATTENTION_UNROLL
  for (int digit = 1; digit < kDigits; ++digit) {
    sum = _mm512_fmadd_ps(sum, _mm512_set1_ps(256.0f), _mm512_cvtepi32_ps(digits[digit]));
  }
  return sum;
}

// Sums over the 128-bit lanes of four vectors: lane 4 g + r is the sum of element r of those of vector g.
HWY_INLINE __m512 SumOfLanes(__m512 x0, __m512 x1, __m512 x2, __m512 x3) {
  constexpr int kEven = 0x88, kOdd = 0xDD;
  const __m512 x01 = _mm512_add_ps(_mm512_shuffle_f32x4(x0, x1, kEven), _mm512_shuffle_f32x4(x0, x1, kOdd));
  const __m512 x23 = _mm512_add_ps(_mm512_shuffle_f32x4(x2, x3, kEven), _mm512_shuffle_f32x4(x2, x3, kOdd));
  return _mm512_add_ps(_mm512_shuffle_f32x4(x01, x23, kEven), _mm512_shuffle_f32x4(x01, x23, kOdd));
}

// Scales of up to 16 rows, zeros elsewhere.
HWY_INLINE __m512 ScalesOfRows(const int8_t* rows, int64_t stride, int64_t head_dim, __mmask16 which) {
  const __m512i row = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i at = _mm512_mullo_epi32(row, _mm512_set1_epi32(static_cast<int>(stride)));
  return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), which, at, rows + head_dim, 1);
}

// Scores of kBlock keys with kColumns columns.
template <int kColumns, bool kFetch>
HWY_INLINE void ScoreBlock(const int8_t* k, int64_t stride, int64_t head_dim, const int8_t* packed,
                           float* scores, int64_t scores_stride) {
  constexpr PackedQueries kAt{kColumns};
  constexpr int kTogether = 2;  // groups: a query's vector is loaded once for them
  constexpr int64_t kStride = kWords * kColumns * kDigits * kLine;
  if (kFetch) FetchAhead(k, stride, kBlock, head_dim);
  alignas(64) float sums[kColumns][kBlock / kGroup][16];
  ATTENTION_KEEP_LOOP
  for (int group = 0; group < kBlock / kGroup; group += kTogether) {
    const int8_t* row = k + group * kGroup * stride;
    __m512i acc[kTogether][kColumns][kDigits];
    ATTENTION_UNROLL
    for (int c = 0; c < kColumns; ++c) {
      ATTENTION_UNROLL
      for (int digit = 0; digit < kDigits; ++digit) {
        acc[0][c][digit] = acc[1][c][digit] = _mm512_load_si512(packed + kAt.Start(c, digit));
      }
    }
    const int8_t* words = packed + kAt.Words(0, 0, 0, 0);
    ATTENTION_KEEP_LOOP
    for (int64_t d = 0; d < head_dim; d += kLine, row += kLine, words += kStride) {
      const Words keys[kTogether] = {WordsOfKeys(row, stride), WordsOfKeys(row + kGroup * stride, stride)};
      ATTENTION_UNROLL
      for (int word = 0; word < kWords; ++word) {
        ATTENTION_UNROLL
        for (int c = 0; c < kColumns; ++c) {
          ATTENTION_UNROLL
          for (int digit = 0; digit < kDigits; ++digit) {
            const __m512i query =
                _mm512_load_si512(words + ((word * kColumns + c) * kDigits + digit) * kLine);
            acc[0][c][digit] = _mm512_dpbusd_epi32(acc[0][c][digit], keys[0].word[word], query);
            acc[1][c][digit] = _mm512_dpbusd_epi32(acc[1][c][digit], keys[1].word[word], query);
          }
        }
      }
    }
    ATTENTION_UNROLL
    for (int c = 0; c < kColumns; ++c) {
      _mm512_store_ps(sums[c][group], Join(acc[0][c]));
      _mm512_store_ps(sums[c][group + 1], Join(acc[1][c]));
    }
  }
  const __m512 scales = ScalesOfRows(k, stride, head_dim, 0xFFFF);
  ATTENTION_UNROLL
  for (int c = 0; c < kColumns; ++c) {
    const __m512 sum = SumOfLanes(_mm512_load_ps(sums[c][0]), _mm512_load_ps(sums[c][1]),
                                  _mm512_load_ps(sums[c][2]), _mm512_load_ps(sums[c][3]));
    _mm512_storeu_ps(scores + c * scores_stride,
                     _mm512_mul_ps(_mm512_scalef_ps(sum, _mm512_load_ps(packed + kAt.Exponent(c))), scales));
  }
}

template <bool kFetch>
HWY_INLINE void ScoreColumns(const FewScoresArguments& arguments, const int8_t* k, int64_t stride,
                             int64_t column, int64_t key) {
  const int8_t* packed =
      static_cast<const int8_t*>(arguments.packed_q) + column * PackedBytes(arguments.head_dim);
  float* scores = arguments.scores + column * arguments.scores_stride + key;
  if (arguments.columns - column >= 2) {
    ScoreBlock<2, kFetch>(k, stride, arguments.head_dim, packed, scores, arguments.scores_stride);
  } else {
    ScoreBlock<1, kFetch>(k, stride, arguments.head_dim, packed, scores, arguments.scores_stride);
  }
}

// See TileKernels::few_scores.
void FewScores(const FewScoresArguments& arguments) {
  const int8_t* k = static_cast<const int8_t*>(arguments.k);
  const int64_t stride = arguments.k_stride;
  int64_t key = 0;
  for (; key + kBlock <= arguments.keys; key += kBlock) {
    ScoreColumns<true>(arguments, k + key * stride, stride, 0, key);
    for (int64_t column = 2; column < arguments.columns; column += 2) {
      ScoreColumns<false>(arguments, k + key * stride, stride, column, key);
    }
  }
  if (key == arguments.keys) return;
  // Behind the last key there may be nothing to read.
  alignas(64) int8_t rows[kBlock * kMostRowBytes] = {};
  const int64_t row_bytes = arguments.head_dim + static_cast<int64_t>(sizeof(float));
  for (int64_t i = 0; key + i < arguments.keys; ++i) {
    std::memcpy(rows + i * row_bytes, k + (key + i) * stride, static_cast<size_t>(row_bytes));
  }
  for (int64_t column = 0; column < arguments.columns; column += 2) {
    ScoreColumns<false>(arguments, rows, row_bytes, column, key);
  }
}

// Digits of up to kWeights weights, [digit][column][key], and each column's exponent e. Where one of a column
// is not finite, its exponent is NaN, and so is what comes of it.
template <int kColumns>
HWY_INLINE void CutWeights(const float (&weights)[kColumns][kWeights],
                           uint8_t (&digits)[kDigits][kColumns][kWeights], float (&exponent)[kColumns]) {
  ATTENTION_UNROLL
  for (int c = 0; c < kColumns; ++c) {
    const uint32_t bits = LargestBits(weights[c], kWeights);
    const bool is_finite = bits < kInfinityBits;
    const int e = is_finite && bits != 0 ? std::ilogb(FloatOfBits(bits)) - 23 : 0;
    exponent[c] = is_finite ? static_cast<float>(e) : std::numeric_limits<float>::quiet_NaN();
    const __m512 up = _mm512_set1_ps(static_cast<float>(-e));
    for (int64_t i = 0; i < kWeights; i += 16) {
      const __m512i whole = _mm512_cvtps_epi32(_mm512_scalef_ps(_mm512_load_ps(weights[c] + i), up));
      ATTENTION_UNROLL
      for (int digit = 0; digit < kDigits; ++digit) {
        _mm_store_si128(reinterpret_cast<__m128i*>(digits[digit][c] + i),
                        _mm512_cvtepi32_epi8(_mm512_srli_epi32(whole, 8 * (kDigits - 1 - digit))));
      }
    }
  }
}

// 64 bytes of four values, interleaved: element 16 L + 4 i + e of head_dim is word e of 128-bit lane L of
// bytes[i], and its four bytes are the four values'.
HWY_INLINE Words BytesOfValues(const int8_t* row, int64_t stride) {
  const __m512i value0 = _mm512_loadu_si512(row), value1 = _mm512_loadu_si512(row + stride);
  const __m512i value2 = _mm512_loadu_si512(row + 2 * stride), value3 = _mm512_loadu_si512(row + 3 * stride);
  const __m512i low01 = _mm512_unpacklo_epi8(value0, value1), high01 = _mm512_unpackhi_epi8(value0, value1);
  const __m512i low23 = _mm512_unpacklo_epi8(value2, value3), high23 = _mm512_unpackhi_epi8(value2, value3);
  return {{_mm512_unpacklo_epi16(low01, low23), _mm512_unpackhi_epi16(low01, low23),
           _mm512_unpacklo_epi16(high01, high23), _mm512_unpackhi_epi16(high01, high23)}};
}

// Adds 2^exponent times the joined sums, which lie as in BytesOfValues, to 64 floats.
HWY_INLINE void AddToOutput(const __m512i (&acc)[kDigits][kWords], float exponent, float* o) {
  __m512 x[kWords];
  ATTENTION_UNROLL
  for (int i = 0; i < kWords; ++i) {
    const __m512i digits[kDigits] = {acc[0][i], acc[1][i], acc[2][i]};
    x[i] = Join(digits);
  }
  const __m512 low01 = _mm512_shuffle_f32x4(x[0], x[1], 0x44);
  const __m512 high01 = _mm512_shuffle_f32x4(x[0], x[1], 0xEE);
  const __m512 low23 = _mm512_shuffle_f32x4(x[2], x[3], 0x44);
  const __m512 high23 = _mm512_shuffle_f32x4(x[2], x[3], 0xEE);
  const __m512 in_order[kWords] = {
      _mm512_shuffle_f32x4(low01, low23, 0x88), _mm512_shuffle_f32x4(low01, low23, 0xDD),
      _mm512_shuffle_f32x4(high01, high23, 0x88), _mm512_shuffle_f32x4(high01, high23, 0xDD)};
  const __m512 by = _mm512_set1_ps(exponent);
  ATTENTION_UNROLL
  for (int i = 0; i < kWords; ++i) {
    float* at = o + 16 * i;
    _mm512_storeu_ps(at, _mm512_add_ps(_mm512_scalef_ps(in_order[i], by), _mm512_loadu_ps(at)));
  }
}

// 64 elements of head_dim, from `v` and `o` on, over `keys` (a multiple of kGroup) keys.
template <int kColumns, bool kFetch>
HWY_INLINE void AddWeightedChunk(const uint8_t (&digits)[kDigits][kColumns][kWeights],
                                 const float (&exponent)[kColumns], const int8_t* v, int64_t stride,
                                 int64_t keys, float* o, int64_t head_dim) {
  __m512i acc[kColumns][kDigits][kWords];
  ATTENTION_UNROLL
  for (int c = 0; c < kColumns; ++c) {
    ATTENTION_UNROLL
    for (int digit = 0; digit < kDigits; ++digit) {
      ATTENTION_UNROLL
      for (int i = 0; i < kWords; ++i) acc[c][digit][i] = _mm512_setzero_si512();
    }
  }
  ATTENTION_KEEP_LOOP
  for (int64_t key = 0; key < keys; key += kGroup, v += kGroup * stride) {
    if (kFetch) FetchAhead(v, stride, kGroup, head_dim);
    const Words values = BytesOfValues(v, stride);
    ATTENTION_UNROLL
    for (int c = 0; c < kColumns; ++c) {
      ATTENTION_UNROLL
      for (int digit = 0; digit < kDigits; ++digit) {
        int32_t four;
        std::memcpy(&four, digits[digit][c] + key, sizeof(four));
        const __m512i weights = _mm512_set1_epi32(four);
        ATTENTION_UNROLL
        for (int i = 0; i < kWords; ++i) {
          acc[c][digit][i] = _mm512_dpbusd_epi32(acc[c][digit][i], weights, values.word[i]);
        }
      }
    }
  }
  ATTENTION_UNROLL
  for (int c = 0; c < kColumns; ++c) AddToOutput(acc[c], exponent[c], o + c * head_dim);
}

// Keys [begin, end), at most kWeights, for kColumns columns.
template <int kColumns, bool kFetch>
HWY_INLINE void AddWeightedRun(const FewWeightedSumArguments& arguments, int64_t column, int64_t begin,
                               int64_t end) {
  const int64_t keys = end - begin, head_dim = arguments.head_dim, stride = arguments.v_stride;
  const int8_t* v = static_cast<const int8_t*>(arguments.v) + begin * stride;
  float* o = arguments.o + column * head_dim;
  alignas(64) float weights[kColumns][kWeights] = {};
  for (int64_t i = 0; i < keys; i += 16) {
    const __mmask16 which = keys - i >= 16 ? 0xFFFF : static_cast<__mmask16>((1u << (keys - i)) - 1);
    const __m512 scales = ScalesOfRows(v + i * stride, stride, head_dim, which);
    for (int c = 0; c < kColumns; ++c) {
      const float* from = arguments.scores + (column + c) * arguments.scores_stride + begin + i;
      _mm512_store_ps(weights[c] + i, _mm512_mul_ps(_mm512_maskz_loadu_ps(which, from), scales));
    }
  }
  alignas(64) uint8_t digits[kDigits][kColumns][kWeights];
  float exponent[kColumns];
  CutWeights<kColumns>(weights, digits, exponent);
  const int64_t whole = keys / kGroup * kGroup;
  if (whole > 0) {
    AddWeightedChunk<kColumns, kFetch>(digits, exponent, v, stride, whole, o, head_dim);
    for (int64_t d = kLine; d < head_dim; d += kLine) {
      AddWeightedChunk<kColumns, false>(digits, exponent, v + d, stride, whole, o + d, head_dim);
    }
  }
  if (whole == keys) return;
  // Behind the last value there may be nothing to read.
  alignas(64) int8_t rows[kGroup * kMaxHeadDim] = {};
  for (int64_t i = whole; i < keys; ++i) {
    std::memcpy(rows + (i - whole) * head_dim, v + i * stride, static_cast<size_t>(head_dim));
    for (int digit = 0; digit < kDigits; ++digit) {
      for (int c = 0; c < kColumns; ++c) digits[digit][c][i - whole] = digits[digit][c][i];
    }
  }
  for (int64_t d = 0; d < head_dim; d += kLine) {
    AddWeightedChunk<kColumns, false>(digits, exponent, rows + d, head_dim, kGroup, o + d, head_dim);
  }
}

// See TileKernels::few_weighted_sum. A run stays in L1 from one pair of columns to the next.
void FewWeightedSum(const FewWeightedSumArguments& arguments) {
  for (int64_t begin = 0; begin < arguments.keys; begin += kWeights) {
    const int64_t end = std::min(begin + kWeights, arguments.keys);
    if (arguments.columns == 1) {
      AddWeightedRun<1, true>(arguments, 0, begin, end);
      continue;
    }
    AddWeightedRun<2, true>(arguments, 0, begin, end);
    int64_t column = 2;
    for (; column + 2 <= arguments.columns; column += 2) {
      AddWeightedRun<2, false>(arguments, column, begin, end);
    }
    if (column < arguments.columns) AddWeightedRun<1, false>(arguments, column, begin, end);
  }
}

}  // namespace
}  // namespace attention

ATTENTION_AFTER_INT8_DOT

namespace attention {

void UseInt8Dot(TileKernels& kernels, int64_t head_dim) {
  if (head_dim % kLine != 0) return;
  kernels.few_query_bytes = PackedBytes(head_dim);
  kernels.pack_few_queries = PackFewQueries;
  kernels.few_scores = FewScores;
  kernels.few_weighted_sum = FewWeightedSum;
}

}  // namespace attention

#else

namespace attention {

void UseInt8Dot(TileKernels&, int64_t) {}

}  // namespace attention

#endif
