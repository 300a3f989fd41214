// In a simulation: buffers have sizes and no memory.
#include "src/base/aligned_buffer.h"

#include <sys/mman.h>

#include <utility>

#include "src/base/error.h"

namespace attention {
namespace {

// More than any rank's largest tensor, and little of the addresses that a process has.
constexpr size_t kMostBytes = size_t{1} << 42;

// All buffers of all ranks lie at one address that nobody may read or write: who computes on data in a
// simulation has a bug, and ends there.
std::byte* Nowhere() {
  static void* const kNowhere =
      mmap(nullptr, kMostBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (kNowhere == MAP_FAILED) Fail("cannot reserve ", kMostBytes, " bytes of addresses");
  return static_cast<std::byte*>(kNowhere);
}

}  // namespace

AlignedBuffer::AlignedBuffer(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  if (bytes > kMostBytes) Fail("cannot allocate ", bytes, " bytes");
  data_ = Nowhere();
}

// The header is that of the real one, which frees.
// NOLINTNEXTLINE(performance-trivially-destructible)
AlignedBuffer::~AlignedBuffer() = default;

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  if (this != &other) {
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

}  // namespace attention
