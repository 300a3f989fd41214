// Owned memory for numeric work: aligned, zeroed, huge pages advised, pages touched before anything is timed.
#ifndef SRC_BASE_ALIGNED_BUFFER_H_
#define SRC_BASE_ALIGNED_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace attention {

class AlignedBuffer {
 public:
  // Widest vector and a cache line; a buffer of at least kHugeFromBytes is aligned to a huge page instead.
  static constexpr size_t kAlignment = 64;
  static constexpr size_t kHugePageBytes = size_t{2} << 20;
  // An eighth of a huge page: the rest of the page is a price worth paying. MPI copies between the processes
  // of a machine page by page, and on small pages at a fraction of the speed: a megabyte of keys and values
  // took .60 ms, on huge pages .25 ms.
  static constexpr size_t kHugeFromBytes = kHugePageBytes / 8;

  AlignedBuffer() = default;
  // Zero-filled (which touches every page). Throws Error, naming the size, if there is no memory.
  explicit AlignedBuffer(size_t bytes);
  ~AlignedBuffer();
  AlignedBuffer(AlignedBuffer&& other) noexcept;
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;

  size_t size_bytes() const { return bytes_; }
  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }

  template <typename T>
  std::span<T> As() {
    return {reinterpret_cast<T*>(data_), bytes_ / sizeof(T)};
  }
  template <typename T>
  std::span<const T> As() const {
    return {reinterpret_cast<const T*>(data_), bytes_ / sizeof(T)};
  }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

// a * b, or Error naming `what` if the product does not fit (negative factors included).
int64_t CheckedProduct(int64_t a, int64_t b, const char* what);

}  // namespace attention

#endif  // SRC_BASE_ALIGNED_BUFFER_H_
