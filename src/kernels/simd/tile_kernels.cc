#include "src/kernels/simd/tile_kernels.h"

#include "src/base/error.h"
#include "src/kernels/simd/few_queries_int8.h"
#include "src/kernels/simd/tile_kernels_bf16.h"

// Highway compiles the rest of this file once per target. SSSE3 and AVX3_DL would be tables nobody asks for.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/kernels/simd/tile_kernels.cc"
#include "hwy/foreach_target.h"
// foreach_target comes first.
#include "src/kernels/simd/few_queries-inl.h"
#include "src/kernels/simd/softmax_tile-inl.h"
#include "src/simd/exp-inl.h"
#include "src/simd/layout-inl.h"
#include "src/simd/simd_base-inl.h"
#include "src/simd/tile_gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention {
namespace HWY_NAMESPACE {

template <typename T>
void ScoresAnyWidth(const ScoreArguments& arguments) {
  KeyBuffer memory;
  KeyBuffer* buffer = sizeof(T) == sizeof(float) ? nullptr : &memory;
  switch (arguments.vectors) {
    case 1:
      return Scores<1, T>(arguments, buffer);
    case 2:
      return Scores<2, T>(arguments, buffer);
    default:
      return Scores<kTileVectors, T>(arguments, buffer);
  }
}

void ExponentialsAnyWidth(const ExponentialArguments& arguments) {
  switch (arguments.vectors) {
    case 1:
      return Exponentials<1>(arguments);
    case 2:
      return Exponentials<2>(arguments);
    default:
      return Exponentials<kTileVectors>(arguments);
  }
}

void WeightedSumAnyWidth(const WeightedSumArguments& arguments) {
  switch (arguments.vectors) {
    case 1:
      return WeightedSum<1>(arguments);
    case 2:
      return WeightedSum<2>(arguments);
    default:
      return WeightedSum<kTileVectors>(arguments);
  }
}

template <typename T>
void PackQueries(const void* const* rows, int64_t head_dim, int vectors, float scale, void* columns) {
  PackColumns<true, T>(rows, head_dim, vectors, scale, static_cast<float*>(columns));
}

// For bf16 products: pairs of head_dim move as words.
[[maybe_unused]] void PackQueryPairs(const void* const* rows, int64_t head_dim, int vectors, float /*scale*/,
                                     void* columns) {
  PackColumns<false, float>(rows, head_dim / 2, vectors, 1.0f, static_cast<float*>(columns));
}

void PackState(const void* const* rows, int64_t head_dim, int vectors, float* columns) {
  PackColumns<false, float>(rows, head_dim, vectors, 1.0f, columns);
}

void UnpackColumnsFunction(const float* o, int64_t head_dim, int vectors, const float* factors,
                           float* const* rows, bool stream) {
  UnpackColumns(o, head_dim, vectors, factors, rows, stream);
}

void FlagNonFiniteFunction(const float* o, int64_t head_dim, int vectors, const float* l, float* flags) {
  FlagNonFinite(o, head_dim, vectors, l, flags);
}

template <typename T>
void PackValuesFunction(const void* v, int64_t v_stride, int64_t keys, int64_t head_dim, int64_t panel_stride,
                        void* values) {
  PackValues(static_cast<const T*>(v), v_stride, keys, head_dim, panel_stride, static_cast<float*>(values));
}

void MoveMaximumFunction(int vectors, const float* new_m, float* m, float* l, float* rescale) {
  MoveMaximum(vectors, new_m, m, l, rescale);
}

template <typename T>
void FewScoresFunction(const FewScoresArguments& arguments) {
  FewScores<T>(arguments);
}

template <typename T>
void FewWeightedSumFunction(const FewWeightedSumArguments& arguments) {
  FewWeightedSum<T>(arguments);
}

float FewSoftmaxFunction(float* scores, int64_t visible, int64_t keys, float* m, float* l) {
  return FewSoftmax(scores, visible, keys, m, l);
}

void Exp2Array(const float* x, int64_t n, float* result) {
  const FloatTag df;
  for (int64_t i = 0; i < n; i += kLanes) hn::StoreU(Exp2(hn::LoadU(df, x + i)), df, result + i);
}

template <typename T>
TileKernels Table() {
  TileKernels kernels{};
  kernels.lanes = kLanes;
  kernels.tile_rows = kTileRows;
  kernels.tile_vectors = kTileVectors;
  kernels.packed_bytes = sizeof(float);
  kernels.key_granule = 1;
  kernels.pack_queries = PackQueries<T>;
  kernels.pack_state = PackState;
  kernels.unpack_columns = UnpackColumnsFunction;
  kernels.flag_non_finite = FlagNonFiniteFunction;
  kernels.pack_values = PackValuesFunction<T>;
  kernels.scores = ScoresAnyWidth<T>;
  kernels.exponentials = ExponentialsAnyWidth;
  kernels.move_maximum = MoveMaximumFunction;
  kernels.weighted_sum = WeightedSumAnyWidth;
  kernels.few_scores = FewScoresFunction<T>;
  kernels.few_weighted_sum = FewWeightedSumFunction<T>;
  kernels.few_softmax = FewSoftmaxFunction;
  kernels.exp2 = Exp2Array;
  return kernels;
}

TileKernels TableOfInt8Rows() {
  TileKernels kernels = Table<float>();
  kernels.few_scores = FewScoresFunction<int8_t>;
  kernels.few_weighted_sum = FewWeightedSumFunction<int8_t>;
  return kernels;
}

}  // namespace HWY_NAMESPACE
}  // namespace attention
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "src/simd/dispatch.h"

namespace attention {

TileKernels GetTileKernels(Isa isa, DataType data_type, int64_t head_dim) {
  Require(IsSupported(isa), "this CPU does not run ", Name(isa));
  if (data_type == DataType::kFloat32) return ATTENTION_FOR_ISA(isa, Table<float>());
  if (data_type == DataType::kInt8) {
    TileKernels kernels = ATTENTION_FOR_ISA(isa, TableOfInt8Rows());
    if (HasInt8Dot(isa)) UseInt8Dot(kernels, head_dim);
    return kernels;
  }
  TileKernels kernels = ATTENTION_FOR_ISA(isa, Table<Bfloat16>());
  if (HasBfloat16Dot(isa) && head_dim % 2 == 0) {
    UseBfloat16Dot(kernels);
    kernels.pack_queries = N_AVX3::PackQueryPairs;
  }
  return kernels;
}

}  // namespace attention
#endif  // HWY_ONCE
