#include "src/kernels/testing/kernel_test_support.h"

#include <cmath>
#include <limits>
#include <sstream>

#include "src/attention/reference_attention.h"
#include "src/base/counter_random.h"

namespace attention {
namespace {

AlignedBuffer Gaussian(int64_t elements, DataType type, uint64_t seed, uint64_t stream) {
  AlignedBuffer buffer(static_cast<size_t>(elements) * SizeOf(type));
  for (int64_t i = 0; i < elements; ++i) {
    const float value = static_cast<float>(RandomGaussian(seed, stream, static_cast<uint64_t>(i)));
    if (type == DataType::kFloat32) {
      buffer.As<float>()[i] = value;
    } else {
      buffer.As<Bfloat16>()[i] = Bfloat16::FromFloat(value);
    }
  }
  return buffer;
}

}  // namespace

std::string TestShape::Describe() const {
  std::ostringstream out;
  out << "B=" << batch << " H=" << heads << " KV=" << kv_heads << " S=" << tokens << " D=" << head_dim << " "
      << Name(mask) << (token_major ? " token-major " : " ") << Name(data_type)
      << " first_query_head=" << mapping.first_query_head;
  return out.str();
}

TestProblem::TestProblem(const TestShape& shape, uint64_t seed) : shape_(shape) {
  if (shape_.mapping.first_query_head == 0 && shape_.mapping.group_size == 1) {
    shape_.mapping.group_size = shape.heads / shape.kv_heads;
  }
  const int64_t rows = shape.batch * shape.tokens * shape.head_dim;
  q_ = Gaussian(rows * shape.heads, shape.data_type, seed, 0);
  k_ = Gaussian(rows * shape.kv_heads, shape.data_type, seed, 1);
  v_ = Gaussian(rows * shape.kv_heads, shape.data_type, seed, 2);
  output_ = AlignedBuffer(static_cast<size_t>(rows * shape.heads) * sizeof(float));
  for (float& value : output_.As<float>()) value = std::numeric_limits<float>::quiet_NaN();
}

TensorView TestProblem::View(AlignedBuffer& buffer, int64_t heads, DataType type) const {
  const TensorShape shape{shape_.batch, heads, shape_.tokens, shape_.head_dim};
  return shape_.token_major ? TokenMajorView(static_cast<void*>(buffer.data()), type, shape)
                            : HeadMajorView(static_cast<void*>(buffer.data()), type, shape);
}

BackendConfig TestProblem::Config(AttentionAlgorithm algorithm, Isa isa, int threads) const {
  BackendConfig config;
  config.algorithm = algorithm;
  config.isa = isa;
  config.data_type = shape_.data_type;
  config.threads = threads;
  config.mask = shape_.mask;
  config.heads = shape_.mapping;
  config.batch = shape_.batch;
  config.query_heads = shape_.heads;
  config.kv_heads = shape_.kv_heads;
  config.head_dim = shape_.head_dim;
  config.max_query_tokens = shape_.tokens;
  config.max_kv_tokens = shape_.tokens;
  return config;
}

void TestProblem::Run(const BackendConfig& config) {
  const TokenSegment all{0, 0, shape_.tokens};
  AttentionStep step;
  step.query = {q(), {&all, 1}};
  const KeyValueShard key_values[] = {{k(), v(), {&all, 1}}};
  step.key_values = key_values;
  step.output = output();
  MakeAttentionKernel(config)->Accumulate(step);
}

std::vector<double> TestProblem::Expected(int64_t batch, int64_t head, int64_t token) {
  const KeyRange visible = shape_.mask.VisibleToAny(token, token, 0, shape_.tokens);
  return ReferenceAttentionRow(q(), k(), v(), batch, head, shape_.mapping.KvHead(head), token, visible,
                               1.0 / std::sqrt(static_cast<double>(shape_.head_dim)));
}

TestProblem::Errors TestProblem::Compare() {
  Errors errors;
  double squares = 0, expected_squares = 0;
  for (int64_t b = 0; b < shape_.batch; ++b) {
    for (int64_t h = 0; h < shape_.heads; ++h) {
      for (int64_t t = 0; t < shape_.tokens; ++t) {
        const std::vector<double> expected = Expected(b, h, t);
        const float* row = output().Row<float>(b, h, t);
        for (int64_t d = 0; d < shape_.head_dim; ++d) {
          const double error = row[d] - expected[d];
          errors.non_finite += !std::isfinite(row[d]);
          errors.largest = std::max(errors.largest, std::fabs(error));
          squares += error * error;
          expected_squares += expected[d] * expected[d];
        }
      }
    }
  }
  errors.relative_l2 = expected_squares > 0 ? std::sqrt(squares / expected_squares) : std::sqrt(squares);
  return errors;
}

}  // namespace attention
