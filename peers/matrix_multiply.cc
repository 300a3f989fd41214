#include "peers/matrix_multiply.h"

#include <omp.h>

#include "peers/shared_library.h"
#include "src/base/error.h"

namespace attention::peers {
namespace {

// Signatures from the libraries' public headers (dnnl.h 2.6, cblas.h 0.3.21); declared here so that neither
// is needed to build.
using DnnlSgemm = int(char trans_a, char trans_b, int64_t m, int64_t n, int64_t k, float alpha,
                      const float* a, int64_t lda, const float* b, int64_t ldb, float beta, float* c,
                      int64_t ldc);
struct DnnlVersion {
  int major, minor, patch;
  const char* hash;
  unsigned cpu_runtime, gpu_runtime;
};
using DnnlGetVersion = const DnnlVersion*();
using DnnlGetIsa = int();

class OneDnn : public MatrixMultiply {
 public:
  explicit OneDnn(const std::string& path)
      : library_(path), sgemm_(library_.Symbol<DnnlSgemm>("dnnl_sgemm")) {
    // The library asks the same OpenMP runtime as this program (libgomp).
    omp_set_num_threads(1);
  }

  void Multiply(bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t lda,
                const float* b, int64_t ldb, float beta, float* c, int64_t ldc) override {
    const int status = sgemm_('N', transpose_b ? 'T' : 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    if (status != 0) Fail("dnnl_sgemm returned status ", status);
  }

  std::string Description() const override {
    const DnnlVersion* version = library_.Symbol<DnnlGetVersion>("dnnl_version")();
    // Values of dnnl_cpu_isa_t, see dnnl_types.h.
    const int isa = library_.Symbol<DnnlGetIsa>("dnnl_get_effective_cpu_isa")();
    return internal::Concatenate("oneDNN ", version->major, ".", version->minor, ".", version->patch,
                                 " sgemm, dnnl_cpu_isa 0x", std::hex, isa);
  }

 private:
  SharedLibrary library_;
  DnnlSgemm* sgemm_;
};

enum CblasOrder { kRowMajor = 101 };
enum CblasTranspose { kNoTranspose = 111, kTranspose = 112 };
using CblasSgemm = void(CblasOrder order, CblasTranspose trans_a, CblasTranspose trans_b, int m, int n, int k,
                        float alpha, const float* a, int lda, const float* b, int ldb, float beta, float* c,
                        int ldc);
using CblasSgemv = void(CblasOrder order, CblasTranspose trans, int m, int n, float alpha, const float* a,
                        int lda, const float* x, int incx, float beta, float* y, int incy);
using SetThreads = void(int threads);
using GetText = char*();

class OpenBlas : public MatrixMultiply {
 public:
  explicit OpenBlas(const std::string& path)
      : library_(path),
        sgemm_(library_.Symbol<CblasSgemm>("cblas_sgemm")),
        sgemv_(library_.Symbol<CblasSgemv>("cblas_sgemv")) {
    library_.Symbol<SetThreads>("openblas_set_num_threads")(1);
  }

  void Multiply(bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t lda,
                const float* b, int64_t ldb, float beta, float* c, int64_t ldc) override {
    if (m == 1) {
      // Its sgemm would pack b for a single row.
      if (transpose_b) {
        sgemv_(kRowMajor, kNoTranspose, Int(n), Int(k), alpha, b, Int(ldb), a, 1, beta, c, 1);
      } else {
        sgemv_(kRowMajor, kTranspose, Int(k), Int(n), alpha, b, Int(ldb), a, 1, beta, c, 1);
      }
      return;
    }
    sgemm_(kRowMajor, kNoTranspose, transpose_b ? kTranspose : kNoTranspose, Int(m), Int(n), Int(k), alpha, a,
           Int(lda), b, Int(ldb), beta, c, Int(ldc));
  }

  std::string Description() const override {
    return internal::Concatenate(library_.Symbol<GetText>("openblas_get_config")(), ", kernels of ",
                                 library_.Symbol<GetText>("openblas_get_corename")());
  }

 private:
  static int Int(int64_t value) {
    Require(value >= 0 && value <= INT32_MAX, "size ", value, " does not fit BLAS's int");
    return static_cast<int>(value);
  }

  SharedLibrary library_;
  CblasSgemm* sgemm_;
  CblasSgemv* sgemv_;
};

}  // namespace

std::unique_ptr<MatrixMultiply> OpenOneDnn(const std::string& path) { return std::make_unique<OneDnn>(path); }

std::unique_ptr<MatrixMultiply> OpenOpenBlas(const std::string& path) {
  return std::make_unique<OpenBlas>(path);
}

}  // namespace attention::peers
