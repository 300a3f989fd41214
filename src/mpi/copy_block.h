// Blocks of tensors copied within a rank.
#ifndef SRC_MPI_COPY_BLOCK_H_
#define SRC_MPI_COPY_BLOCK_H_

#include "src/base/tensor_view.h"

namespace attention {

// destination = source, element for element; same shape and type, any strides.
void CopyBlock(const ConstTensorView& source, const TensorView& destination);

}  // namespace attention

#endif  // SRC_MPI_COPY_BLOCK_H_
