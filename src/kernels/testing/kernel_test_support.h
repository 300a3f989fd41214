// Small attention problems for kernel tests: inputs, a float64 expectation, one or several steps.
#ifndef SRC_KERNELS_TESTING_KERNEL_TEST_SUPPORT_H_
#define SRC_KERNELS_TESTING_KERNEL_TEST_SUPPORT_H_

#include <string>
#include <vector>

#include "src/attention/attention_backend.h"
#include "src/base/aligned_buffer.h"
#include "src/kernels/attention_kernel.h"

namespace attention {

struct TestShape {
  int64_t batch = 1;
  int64_t heads = 1;     // of this rank
  int64_t kv_heads = 1;  // of this rank
  int64_t tokens = 1;    // queries and keys
  int64_t head_dim = 128;
  Mask mask;
  bool token_major = false;
  DataType data_type = DataType::kFloat32;  // of q, k, v
  HeadMapping mapping;                      // group_size 0: heads / kv_heads

  std::string Describe() const;
};

// Inputs with standard normal entries, and room for the output (filled with NaN).
class TestProblem {
 public:
  explicit TestProblem(const TestShape& shape, uint64_t seed = 1);

  const TestShape& shape() const { return shape_; }
  TensorView q() { return View(q_, shape_.heads, shape_.data_type); }
  TensorView k() { return View(k_, shape_.kv_heads, shape_.data_type); }
  TensorView v() { return View(v_, shape_.kv_heads, shape_.data_type); }
  TensorView output() { return View(output_, shape_.heads, DataType::kFloat32); }

  BackendConfig Config(AttentionAlgorithm algorithm, Isa isa, int threads = 1) const;
  // One step over everything, first and last.
  void Run(const BackendConfig& config);
  // The expected row, float64, all visible keys.
  std::vector<double> Expected(int64_t batch, int64_t head, int64_t token);
  // Largest |error|, and L2 norm of the error relative to the expectation's, over all rows.
  struct Errors {
    double largest = 0;
    double relative_l2 = 0;
    int64_t non_finite = 0;
  };
  Errors Compare();

 private:
  TensorView View(AlignedBuffer& buffer, int64_t heads, DataType type) const;

  TestShape shape_;
  AlignedBuffer q_, k_, v_, output_;
};

}  // namespace attention

#endif  // SRC_KERNELS_TESTING_KERNEL_TEST_SUPPORT_H_
