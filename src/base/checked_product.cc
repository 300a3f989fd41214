#include "src/base/aligned_buffer.h"
#include "src/base/error.h"

namespace attention {

int64_t CheckedProduct(int64_t a, int64_t b, const char* what) {
  int64_t product = 0;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product)) {
    FailUsage(what, ": ", a, " x ", b, " is out of range");
  }
  return product;
}

}  // namespace attention
