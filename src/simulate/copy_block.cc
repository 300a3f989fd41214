// In a simulation: a copy within a rank takes its time.
#include "src/mpi/copy_block.h"

#include "src/base/error.h"
#include "src/simulate/simulated_time.h"

namespace attention {

void CopyBlock(const ConstTensorView& source, const TensorView& destination) {
  Require(source.shape == destination.shape && source.data_type == destination.data_type,
          "CopyBlock: blocks of different shape or type");
  SpendBytes(MemoryWork::kCopy, StorageBytes(source.data_type, source.shape));
}

}  // namespace attention
