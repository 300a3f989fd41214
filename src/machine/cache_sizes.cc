#include "src/machine/cache_sizes.h"

#include <unistd.h>

namespace attention {

CacheSizes ReadCacheSizes() {
  CacheSizes sizes;
  const auto read = [](int name, int64_t& bytes) {
    const long answer = sysconf(name);
    if (answer > 0) bytes = answer;
  };
  read(_SC_LEVEL1_DCACHE_SIZE, sizes.l1_data_bytes);
  read(_SC_LEVEL2_CACHE_SIZE, sizes.l2_bytes);
  read(_SC_LEVEL3_CACHE_SIZE, sizes.l3_bytes);
  return sizes;
}

}  // namespace attention
