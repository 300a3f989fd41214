#include "peers/workload.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "src/attention/reference_attention.h"
#include "src/base/counter_random.h"
#include "src/base/error.h"

namespace attention::peers {
namespace {

constexpr uint64_t kSeed = 1;
constexpr int64_t kReferenceRows = 64;

AlignedBuffer GaussianBuffer(const TensorShape& shape, uint64_t stream) {
  AlignedBuffer buffer(static_cast<size_t>(shape.elements()) * sizeof(float));
  std::span<float> values = buffer.As<float>();
  for (int64_t i = 0; i < shape.elements(); ++i) {
    values[i] = static_cast<float>(RandomGaussian(kSeed, stream, static_cast<uint64_t>(i)));
  }
  return buffer;
}

}  // namespace

double Workload::flops() const {
  const double full = 4.0 * static_cast<double>(query_heads) * static_cast<double>(query_tokens) *
                      static_cast<double>(kv_tokens) * static_cast<double>(head_dim);
  return causal ? full / 2 : full;
}

double Workload::key_value_bytes() const {
  return 2.0 * sizeof(float) * static_cast<double>(kv_heads * kv_tokens * head_dim);
}

std::vector<Workload> AllWorkloads() {
  std::vector<Workload> workloads;
  for (const bool causal : {false, true}) {
    for (const int64_t tokens : {512, 1024, 2048, 4096}) {
      workloads.push_back({.name = (causal ? "causal_" : "full_") + std::to_string(tokens),
                           .causal = causal,
                           .query_tokens = tokens,
                           .kv_tokens = tokens});
    }
  }
  workloads.push_back({.name = "decode_32768", .query_tokens = 1, .kv_tokens = 32768});
  return workloads;
}

std::vector<Workload> ParseWorkloads(const std::string& names) {
  const std::vector<Workload> all = AllWorkloads();
  if (names == "all") return all;
  std::vector<Workload> chosen;
  std::istringstream stream(names);
  for (std::string name; std::getline(stream, name, ',');) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Workload& w) { return w.name == name; });
    if (found == all.end()) {
      std::string known;
      for (const Workload& workload : all) known += " " + workload.name;
      FailUsage("no column '", name, "'; there are:", known);
    }
    chosen.push_back(*found);
  }
  return chosen;
}

// Float32 rounding on these data: a logit (standard normal) is a sum of 128 products, error about
// sqrt(128) * 2^-24 = 7e-7, which is the relative error of its weight; exp adds up to 3e-7; these average out
// over keys. So 1e-5 of the result's norm leaves room for any order of summation. One key too many or too few
// of n changes the result by about 1/sqrt(n) of its norm: 5.5e-3 at n = 32768, 500 times the bound.
// Single elements (|o| <= 5, in the first causal rows): the same 1e-5 of their size.
bool Accuracy::accurate() const { return rel_l2_err <= 1e-5 && max_abs_err <= 5e-5; }

Problem::Problem(const Workload& workload)
    : workload_(workload),
      q_(GaussianBuffer(query_shape(), 0)),
      k_(GaussianBuffer(kv_shape(), 1)),
      v_(GaussianBuffer(kv_shape(), 2)) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(workload_.head_dim));
  const int64_t rows = std::max(kReferenceRows, workload_.query_heads);
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t head = i % workload_.query_heads;
    // The first and the last row always; between them, any.
    int64_t token = static_cast<int64_t>(RandomBits(kSeed, 3, static_cast<uint64_t>(i)) %
                                         static_cast<uint64_t>(workload_.query_tokens));
    if (i == 0) token = 0;
    if (i == 1) token = workload_.query_tokens - 1;
    const KeyRange visible{0, workload_.causal ? token + 1 : workload_.kv_tokens};
    reference_.push_back({head, token,
                          ReferenceAttentionRow(q_view(), k_view(), v_view(), 0, head,
                                                head / workload_.group_size(), token, visible, scale)});
  }
}

TensorShape Problem::query_shape() const {
  return {1, workload_.query_heads, workload_.query_tokens, workload_.head_dim};
}
TensorShape Problem::kv_shape() const {
  return {1, workload_.kv_heads, workload_.kv_tokens, workload_.head_dim};
}
ConstTensorView Problem::q_view() const {
  return HeadMajorView(static_cast<const void*>(q_.data()), DataType::kFloat32, query_shape());
}
ConstTensorView Problem::k_view() const {
  return HeadMajorView(static_cast<const void*>(k_.data()), DataType::kFloat32, kv_shape());
}
ConstTensorView Problem::v_view() const {
  return HeadMajorView(static_cast<const void*>(v_.data()), DataType::kFloat32, kv_shape());
}

Accuracy Problem::Check(std::span<const float> output) const {
  Require(static_cast<int64_t>(output.size()) >= query_shape().elements(), "output is too small");
  Accuracy accuracy;
  const bool finite = std::all_of(output.begin(), output.begin() + query_shape().elements(),
                                  [](float value) { return std::isfinite(value); });
  if (!finite) {
    const double infinity = std::numeric_limits<double>::infinity();
    return {infinity, infinity};
  }
  double error_norm = 0;
  double norm = 0;
  for (const ReferenceRow& row : reference_) {
    const float* values =
        output.data() + (row.head * workload_.query_tokens + row.token) * workload_.head_dim;
    for (int64_t d = 0; d < workload_.head_dim; ++d) {
      const double error = std::abs(values[d] - row.values[static_cast<size_t>(d)]);
      accuracy.max_abs_err = std::max(accuracy.max_abs_err, error);
      error_norm += error * error;
      norm += row.values[static_cast<size_t>(d)] * row.values[static_cast<size_t>(d)];
    }
  }
  accuracy.rel_l2_err = std::sqrt(error_norm / norm);
  return accuracy;
}

void HeadMajorToTokenMajor(const float* source, int64_t heads, int64_t tokens, int64_t head_dim,
                           float* destination) {
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t token = 0; token < tokens; ++token) {
      std::copy_n(source + (head * tokens + token) * head_dim, head_dim,
                  destination + (token * heads + head) * head_dim);
    }
  }
}

void TokenMajorToHeadMajor(const float* source, int64_t heads, int64_t tokens, int64_t head_dim,
                           float* destination) {
  // The same permutation with the axes' names exchanged.
  HeadMajorToTokenMajor(source, tokens, heads, head_dim, destination);
}

}  // namespace attention::peers
