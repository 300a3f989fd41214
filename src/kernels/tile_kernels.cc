#include "src/kernels/tile_kernels.h"

#include "src/base/error.h"

// Highway compiles the rest of this file once per target. SSSE3 and AVX3_DL would be tables nobody asks for.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/kernels/tile_kernels.cc"
#include "hwy/foreach_target.h"
// foreach_target comes first.
#include "src/kernels/exp-inl.h"
#include "src/kernels/few_queries-inl.h"
#include "src/kernels/layout-inl.h"
#include "src/kernels/simd_base-inl.h"
#include "src/kernels/softmax_tile-inl.h"
#include "src/kernels/tile_gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention {
namespace HWY_NAMESPACE {

void ScoresAnyWidth(const ScoreArguments& arguments) {
  switch (arguments.vectors) {
    case 1:
      return Scores<1>(arguments);
    case 2:
      return Scores<2>(arguments);
    default:
      return Scores<kTileVectors>(arguments);
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

void PackColumnsFunction(const float* const* rows, int64_t head_dim, int vectors, float factor,
                         float* columns) {
  PackColumns(rows, head_dim, vectors, factor, columns);
}

void UnpackColumnsFunction(const float* o, int64_t head_dim, int vectors, const float* factors,
                           float* const* rows, bool stream) {
  UnpackColumns(o, head_dim, vectors, factors, rows, stream);
}

void FlagNonFiniteFunction(const float* o, int64_t head_dim, int vectors, const float* l, float* flags) {
  FlagNonFinite(o, head_dim, vectors, l, flags);
}

void PackValuesFunction(const float* v, int64_t v_stride, int64_t keys, int64_t head_dim,
                        int64_t panel_stride, float* values) {
  PackValues(v, v_stride, keys, head_dim, panel_stride, values);
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

const TileKernels& Table() {
  static constexpr TileKernels kTable = {
#if HWY_TARGET <= HWY_AVX3
    .isa = Isa::kAvx512,
#elif HWY_TARGET <= HWY_AVX2
    .isa = Isa::kAvx2,
#elif HWY_TARGET <= HWY_SSE4
    .isa = Isa::kSse4,
#else
    .isa = Isa::kScalar,
#endif
    .lanes = kLanes,
    .tile_rows = kTileRows,
    .tile_vectors = kTileVectors,
    .pack_columns = PackColumnsFunction,
    .unpack_columns = UnpackColumnsFunction,
    .flag_non_finite = FlagNonFiniteFunction,
    .pack_values = PackValuesFunction,
    .scores = ScoresAnyWidth,
    .exponentials = ExponentialsAnyWidth,
    .move_maximum = MoveMaximumFunction,
    .weighted_sum = WeightedSumAnyWidth,
    .few_scores = FewScoresFunction<float>,
    .few_scores_bf16 = FewScoresFunction<Bfloat16>,
    .few_weighted_sum = FewWeightedSumFunction<float>,
    .few_weighted_sum_bf16 = FewWeightedSumFunction<Bfloat16>,
    .few_softmax = FewSoftmaxFunction,
    .exp2 = Exp2Array,
  };
  return kTable;
}

}  // namespace HWY_NAMESPACE
}  // namespace attention
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention {

bool IsSupported(Isa isa) {
  const int64_t supported = hwy::SupportedTargets();
  switch (isa) {
    case Isa::kScalar:
      return true;
    case Isa::kSse4:
      return (supported & HWY_SSE4) != 0;
    case Isa::kAvx2:
      return (supported & HWY_AVX2) != 0;
    case Isa::kAvx512:
      return (supported & HWY_AVX3) != 0;
  }
  return false;
}

const TileKernels& GetTileKernels(Isa isa) {
  Require(IsSupported(isa), "this CPU does not run ", Name(isa));
  switch (isa) {
    case Isa::kScalar:
      return N_SCALAR::Table();
    case Isa::kSse4:
      return N_SSE4::Table();
    case Isa::kAvx2:
      return N_AVX2::Table();
    case Isa::kAvx512:
      return N_AVX3::Table();
  }
  FailUsage("unknown ISA");
}

}  // namespace attention
#endif  // HWY_ONCE
