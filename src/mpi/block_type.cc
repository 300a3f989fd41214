#include "src/mpi/block_type.h"

#include <limits>
#include <vector>

#include "src/base/error.h"

namespace attention {
namespace {

int ToInt(int64_t count) {
  Require(count >= 0 && count <= std::numeric_limits<int>::max(), "MPI count ", count, " passes int");
  return static_cast<int>(count);
}

// `count` copies of `inner` every `stride` bytes; frees `inner`. A run without gaps becomes one contiguous
// type, which MPI can move without looking at its rows.
MPI_Datatype Repeat(MPI_Datatype inner, int64_t inner_bytes, bool dense, int64_t count, int64_t stride) {
  MPI_Datatype outer = MPI_DATATYPE_NULL;
  if (dense && stride == inner_bytes) {
    MPI_Type_contiguous(ToInt(count), inner, &outer);
  } else {
    MPI_Type_create_hvector(ToInt(count), 1, static_cast<MPI_Aint>(stride), inner, &outer);
  }
  MPI_Type_free(&inner);
  return outer;
}

MPI_Datatype TypeOf(const ConstTensorView& view) {
  const int64_t element = static_cast<int64_t>(SizeOf(view.data_type));
  int64_t bytes = RowBytes(view.data_type, view.shape.head_dim);
  bool dense = true;
  MPI_Datatype type = MPI_DATATYPE_NULL;
  MPI_Type_contiguous(ToInt(bytes), MPI_BYTE, &type);
  const int64_t counts[] = {view.shape.tokens, view.shape.heads, view.shape.batch};
  const int64_t strides[] = {view.token_stride, view.head_stride, view.batch_stride};
  for (int axis = 0; axis < 3; ++axis) {
    if (counts[axis] == 1) continue;
    const int64_t stride = strides[axis] * element;
    type = Repeat(type, bytes, dense, counts[axis], stride);
    dense = dense && stride == bytes;
    bytes *= counts[axis];
  }
  return type;
}

}  // namespace

int64_t RowCount(const ConstTensorView& view) {
  return view.shape.batch * view.shape.heads * view.shape.tokens;
}

int64_t ByteCount(const ConstTensorView& view) {
  return RowCount(view) * RowBytes(view.data_type, view.shape.head_dim);
}

BlockType::BlockType(std::span<const ConstTensorView> views) {
  if (views.size() == 1) {
    type_ = TypeOf(views[0]);
  } else {
    std::vector<MPI_Datatype> types;
    std::vector<int> lengths(views.size(), 1);
    std::vector<MPI_Aint> displacements;
    for (const ConstTensorView& view : views) {
      types.push_back(TypeOf(view));
      displacements.push_back(reinterpret_cast<MPI_Aint>(view.data) -
                              reinterpret_cast<MPI_Aint>(views[0].data));
    }
    MPI_Type_create_struct(ToInt(static_cast<int64_t>(views.size())), lengths.data(), displacements.data(),
                           types.data(), &type_);
    for (MPI_Datatype& type : types) MPI_Type_free(&type);
  }
  MPI_Type_commit(&type_);
}

BlockType::~BlockType() { MPI_Type_free(&type_); }

void ForEachChunk(std::span<const ConstTensorView> views, const ChunkLimits& limits,
                  const ChunkFunction& function) {
  int64_t bytes = 0;
  for (const ConstTensorView& view : views) bytes += ByteCount(view);
  if (bytes == 0) return;
  const TensorShape& shape = views[0].shape;
  const int64_t runs = shape.batch * shape.heads;
  const bool is_one_message =
      bytes <= limits.max_message_bytes && (runs == 1 || bytes / runs < limits.own_message_bytes);
  if (is_one_message || RowCount(views[0]) == 1) {
    function(views);
    return;
  }
  // Halve the outermost axis that can be: pieces keep the order of rows, and stay as contiguous as they were.
  const auto halve = [&](int64_t count, auto slice) {
    for (const auto& [begin, length] : {std::pair{int64_t{0}, count / 2}, {count / 2, count - count / 2}}) {
      std::vector<ConstTensorView> half;
      for (const ConstTensorView& view : views) half.push_back(slice(view, begin, length));
      ForEachChunk(half, limits, function);
    }
  };
  using View = ConstTensorView;
  if (shape.batch > 1) {
    halve(shape.batch, [](const View& v, int64_t b, int64_t n) { return v.SliceBatch(b, n); });
  } else if (shape.heads > 1) {
    halve(shape.heads, [](const View& v, int64_t b, int64_t n) { return v.SliceHeads(b, n); });
  } else {
    halve(shape.tokens, [](const View& v, int64_t b, int64_t n) { return v.SliceTokens(b, n); });
  }
}

}  // namespace attention
