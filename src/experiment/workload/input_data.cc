#include "src/experiment/workload/input_data.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "src/base/counter_random.h"
#include "src/base/error.h"
#include "src/base/tensor_rows.h"

namespace attention {
namespace {

// Streams of the random generator.
enum Tensor { kQuery = 1, kKey = 2, kValue = 3, kTarget = 4 };

// Share of noise in a peaked query. With lean * sqrt(D) = 22.6 for every head_dim, the chosen key's logit
// stands about 22 above the mean of the others, whose deviation is 2 at head_dim 128: a weight of nearly 1.
constexpr float kPeakedNoise = 0.5f;
constexpr double kPeakedLogit = 22.6;

}  // namespace

InputData::InputData(const AttentionProblem& problem, InputDataKind kind, uint64_t seed)
    : problem_(problem), kind_(kind), seed_(seed) {}

void InputData::KeyOrValueRow(int tensor, int64_t b, int64_t head, int64_t token,
                              std::span<float> row) const {
  const int64_t index = ((b * problem_.kv_heads + head) * problem_.kv_tokens + token) * problem_.head_dim;
  FillGaussian(seed_, tensor, index, row);
}

void InputData::QueryRow(int64_t b, int64_t head, int64_t token, std::span<float> row) const {
  // Positions are those of the whole sequence, so that a decoded row is the same as prefill's last.
  const int64_t row_index = (b * problem_.query_heads + head) * problem_.kv_tokens + token;
  FillGaussian(seed_, kQuery, row_index * problem_.head_dim, row);
  if (kind_ != InputDataKind::kPeaked) return;
  const int64_t target =
      token % 2 == 0 ? 0 : static_cast<int64_t>(RandomBits(seed_, kTarget, row_index) % (token + 1));
  std::vector<float> key(row.size());
  KeyOrValueRow(kKey, b, head / problem_.group_size(), target, key);
  const float lean = static_cast<float>(kPeakedLogit / std::sqrt(static_cast<double>(problem_.head_dim)));
  for (size_t d = 0; d < row.size(); ++d) row[d] = kPeakedNoise * row[d] + lean * key[d];
}

void InputData::Fill(const TensorView& view, int64_t batch_begin, int64_t head_begin,
                     std::span<const TokenSegment> segments, int tensor) const {
  const int64_t head_dim = view.shape.head_dim;
  Require(head_dim == problem_.head_dim, "input data: head_dim ", head_dim, ", expected ", problem_.head_dim);
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t b = 0; b < view.shape.batch; ++b) {
    for (int64_t h = 0; h < view.shape.heads; ++h) {
      std::vector<float> row(head_dim);
      for (const TokenSegment& segment : segments) {
        for (int64_t t = 0; t < segment.length; ++t) {
          const int64_t token = segment.global_begin + t;
          if (tensor == kQuery) {
            QueryRow(batch_begin + b, head_begin + h, token, row);
          } else {
            KeyOrValueRow(tensor, batch_begin + b, head_begin + h, token, row);
          }
          StoreRow(row, view, b, h, segment.local_begin + t);
        }
      }
    }
  }
}

void InputData::FillQuery(const TensorView& view, int64_t batch_begin, int64_t head_begin,
                          std::span<const TokenSegment> segments) const {
  Fill(view, batch_begin, head_begin, segments, kQuery);
}
void InputData::FillKey(const TensorView& view, int64_t batch_begin, int64_t head_begin,
                        std::span<const TokenSegment> segments) const {
  Fill(view, batch_begin, head_begin, segments, kKey);
}
void InputData::FillValue(const TensorView& view, int64_t batch_begin, int64_t head_begin,
                          std::span<const TokenSegment> segments) const {
  Fill(view, batch_begin, head_begin, segments, kValue);
}

}  // namespace attention
