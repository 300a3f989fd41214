#include "src/attention/reference_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/base/error.h"
#include "src/base/int8_row.h"

namespace attention {
namespace {

double Element(const ConstTensorView& view, int64_t b, int64_t h, int64_t t, int64_t d) {
  if (view.data_type == DataType::kFloat32) return view.Row<float>(b, h, t)[d];
  if (view.data_type == DataType::kBfloat16) return view.Row<Bfloat16>(b, h, t)[d].ToFloat();
  const int8_t* row = view.Row<int8_t>(b, h, t);
  return double{ScaleOfInt8Row(row, view.shape.head_dim)} * row[d];
}

}  // namespace

std::vector<double> ReferenceAttentionRow(const ConstTensorView& q, const ConstTensorView& k,
                                          const ConstTensorView& v, int64_t batch, int64_t query_head,
                                          int64_t kv_head, int64_t query_token, KeyRange visible,
                                          double scale) {
  const int64_t head_dim = q.shape.head_dim;
  std::vector<double> output(head_dim, 0.0);
  if (visible.is_empty()) return output;
  std::vector<double> weights(visible.size());
  double maximum = -std::numeric_limits<double>::infinity();
  for (int64_t j = 0; j < visible.size(); ++j) {
    double dot = 0;
    for (int64_t d = 0; d < head_dim; ++d) {
      dot += Element(q, batch, query_head, query_token, d) * Element(k, batch, kv_head, visible.begin + j, d);
    }
    weights[j] = dot * scale;
    maximum = std::max(maximum, weights[j]);
  }
  double sum = 0;
  for (double& w : weights) sum += w = std::exp(w - maximum);
  for (int64_t j = 0; j < visible.size(); ++j) {
    for (int64_t d = 0; d < head_dim; ++d)
      output[d] += weights[j] / sum * Element(v, batch, kv_head, visible.begin + j, d);
  }
  return output;
}

std::vector<double> ReferenceAttention(const ConstTensorView& q, const ConstTensorView& k,
                                       const ConstTensorView& v, const Mask& mask) {
  Require(k.shape.heads > 0 && q.shape.heads % k.shape.heads == 0, "query heads ", q.shape.heads,
          " are not a multiple of KV heads ", k.shape.heads);
  const int64_t group = q.shape.heads / k.shape.heads;
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.shape.head_dim));
  std::vector<double> output;
  output.reserve(q.shape.elements());
  for (int64_t b = 0; b < q.shape.batch; ++b) {
    for (int64_t h = 0; h < q.shape.heads; ++h) {
      for (int64_t t = 0; t < q.shape.tokens; ++t) {
        const KeyRange visible = mask.VisibleToAny(t, t, 0, k.shape.tokens);
        const std::vector<double> row = ReferenceAttentionRow(q, k, v, b, h, h / group, t, visible, scale);
        output.insert(output.end(), row.begin(), row.end());
      }
    }
  }
  return output;
}

}  // namespace attention
