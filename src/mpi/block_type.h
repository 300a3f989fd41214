// MPI datatypes for blocks of tensors: a block is sent from, and received at, its place in a strided tensor.
#ifndef SRC_MPI_BLOCK_TYPE_H_
#define SRC_MPI_BLOCK_TYPE_H_

#include <mpi.h>

#include <cstdint>
#include <functional>
#include <span>

#include "src/base/tensor_view.h"

namespace attention {

// Rows (runs of head_dim elements) and payload bytes of a view.
int64_t RowCount(const ConstTensorView& view);
int64_t ByteCount(const ConstTensorView& view);

// A committed datatype for one or several views that travel together, relative to the data of the first. Its
// elements are the rows in the order view, batch, head, token, whatever the strides: sender and receiver may
// store the block differently. Views must not be empty.
class BlockType {
 public:
  explicit BlockType(std::span<const ConstTensorView> views);
  ~BlockType();
  BlockType(const BlockType&) = delete;
  BlockType& operator=(const BlockType&) = delete;

  MPI_Datatype get() const { return type_; }

 private:
  MPI_Datatype type_ = MPI_DATATYPE_NULL;
};

// As in ExchangeSettings.
struct ChunkLimits {
  int64_t max_message_bytes = 0;
  int64_t own_message_bytes = 0;
};

// Calls `function` with pieces of the views, each of at most max_message_bytes (but never less than one row
// of each), and of one head if its rows fill own_message_bytes. Pieces and their order depend on shapes and
// limits only, so that sender and receiver agree. Views must agree in batch, heads and tokens. Empty views
// give no call.
using ChunkFunction = std::function<void(std::span<const ConstTensorView>)>;
void ForEachChunk(std::span<const ConstTensorView> views, const ChunkLimits& limits,
                  const ChunkFunction& function);

}  // namespace attention

#endif  // SRC_MPI_BLOCK_TYPE_H_
