// Cuts one allocation into aligned arrays. Run once without memory to learn the size, once with it.
#ifndef SRC_KERNELS_LAYOUT_WORKSPACE_H_
#define SRC_KERNELS_LAYOUT_WORKSPACE_H_

#include <cstddef>
#include <cstdint>

#include "src/base/aligned_buffer.h"

namespace attention {

class Workspace {
 public:
  // Without memory, Take() returns null and only counts.
  explicit Workspace(std::byte* memory = nullptr) : memory_(memory) {}

  template <typename T>
  T* Take(int64_t count) {
    std::byte* place = memory_ == nullptr ? nullptr : memory_ + bytes_;
    const size_t bytes =
        static_cast<size_t>(CheckedProduct(count, static_cast<int64_t>(sizeof(T)), "workspace"));
    bytes_ += (bytes + AlignedBuffer::kAlignment - 1) / AlignedBuffer::kAlignment * AlignedBuffer::kAlignment;
    return reinterpret_cast<T*>(place);
  }
  size_t bytes() const { return bytes_; }

 private:
  std::byte* memory_;
  size_t bytes_ = 0;
};

}  // namespace attention

#endif  // SRC_KERNELS_LAYOUT_WORKSPACE_H_
