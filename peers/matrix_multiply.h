// The one thing a BLAS peer brings to a composite attention: a single-precision matrix product.
#ifndef PEERS_MATRIX_MULTIPLY_H_
#define PEERS_MATRIX_MULTIPLY_H_

#include <cstdint>
#include <memory>
#include <string>

namespace attention::peers {

class MatrixMultiply {
 public:
  virtual ~MatrixMultiply() = default;

  // c [m, n] = alpha * a [m, k] * b + beta * c, row-major, leading dimensions lda, ldb, ldc.
  // transpose_b: b is stored [n, k] (K in Q K^T); otherwise [k, n] (V in P V).
  virtual void Multiply(bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float* a,
                        int64_t lda, const float* b, int64_t ldb, float beta, float* c, int64_t ldc) = 0;
  // Library, version, and the kernels it chose for this CPU where it tells; for the manifest.
  virtual std::string Description() const = 0;
};

// Both open the library at `path` and set it to one thread. Throw Error if they cannot.
std::unique_ptr<MatrixMultiply> OpenOneDnn(const std::string& path);
// Which kernels it takes for this CPU can be overruled by OPENBLAS_CORETYPE in the environment.
std::unique_ptr<MatrixMultiply> OpenOpenBlas(const std::string& path);

}  // namespace attention::peers

#endif  // PEERS_MATRIX_MULTIPLY_H_
