// Sizes of the caches of the CPU this runs on, from the operating system; conservative guesses where it is
// silent.
#ifndef SRC_MACHINE_CACHE_SIZES_H_
#define SRC_MACHINE_CACHE_SIZES_H_

#include <cstdint>

namespace attention {

struct CacheSizes {
  int64_t l1_data_bytes = 32 << 10;
  int64_t l2_bytes = 512 << 10;
  int64_t l3_bytes = 8 << 20;
};

CacheSizes ReadCacheSizes();

}  // namespace attention

#endif  // SRC_MACHINE_CACHE_SIZES_H_
