// The work every contestant does: one column of the comparison, its data, and the check against float64.
#ifndef PEERS_WORKLOAD_H_
#define PEERS_WORKLOAD_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "src/base/aligned_buffer.h"
#include "src/base/tensor_view.h"

namespace attention::peers {

struct Workload {
  std::string name;  // full_512, causal_4096, decode_32768: spelled so in every file
  bool causal = false;
  int64_t query_tokens = 0;  // the last of the kv_tokens positions
  int64_t kv_tokens = 0;
  int64_t query_heads = 16;
  int64_t kv_heads = 8;
  int64_t head_dim = 128;

  bool decode() const { return query_tokens == 1; }
  int64_t group_size() const { return query_heads / kv_heads; }
  // 4 H Sq Skv D, half of it if causal: two products of 2 FLOP per multiply-add. The diagonal is counted as
  // half, by everybody, so nobody is paid for work above it.
  double flops() const;
  // K and V, read once.
  double key_value_bytes() const;
};

// The columns of the comparison, in the order of the table.
std::vector<Workload> AllWorkloads();
// Names separated by commas; "all". Throws Error naming the known ones.
std::vector<Workload> ParseWorkloads(const std::string& names);

struct Accuracy {
  double max_abs_err = 0;
  double rel_l2_err = 0;
  bool accurate() const;
};

// Q, K and V (standard normal, head-major [1, heads, tokens, head_dim]) and the float64 result of some rows.
class Problem {
 public:
  explicit Problem(const Workload& workload);

  const Workload& workload() const { return workload_; }
  const float* q() const { return q_.As<float>().data(); }
  const float* k() const { return k_.As<float>().data(); }
  const float* v() const { return v_.As<float>().data(); }
  ConstTensorView q_view() const;
  ConstTensorView k_view() const;
  ConstTensorView v_view() const;
  // [1, query_heads, query_tokens, head_dim]
  TensorShape query_shape() const;
  TensorShape kv_shape() const;

  // output: head-major, as q. Any non-finite value in it counts as an infinite error.
  Accuracy Check(std::span<const float> output) const;

 private:
  struct ReferenceRow {
    int64_t head;
    int64_t token;
    std::vector<double> values;
  };

  Workload workload_;
  AlignedBuffer q_, k_, v_;
  std::vector<ReferenceRow> reference_;
};

// [heads, tokens, head_dim] <-> [tokens, heads, head_dim]; source and destination do not overlap.
void HeadMajorToTokenMajor(const float* source, int64_t heads, int64_t tokens, int64_t head_dim,
                           float* destination);
void TokenMajorToHeadMajor(const float* source, int64_t heads, int64_t tokens, int64_t head_dim,
                           float* destination);

}  // namespace attention::peers

#endif  // PEERS_WORKLOAD_H_
