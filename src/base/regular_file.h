// Files to read that may be anything: a path from the user, or a name inside a file, can lead to a FIFO, a
// terminal or a device, which block in open() or never end.
#ifndef SRC_BASE_REGULAR_FILE_H_
#define SRC_BASE_REGULAR_FILE_H_

#include <cstdint>
#include <string>

namespace attention {

// A regular file, open for reading. Whatever lies at the path, opening it returns at once.
class RegularFile {
 public:
  // Throws Error (bad usage), starting with the path, if there is none or it is not a regular file.
  explicit RegularFile(const std::string& path);
  ~RegularFile();
  RegularFile(const RegularFile&) = delete;
  RegularFile& operator=(const RegularFile&) = delete;

  int descriptor() const { return descriptor_; }
  int64_t size() const { return size_; }  // when it was opened

 private:
  int descriptor_ = -1;
  int64_t size_ = 0;
};

// The whole of a regular file; Error (bad usage) naming it if it cannot be read or is longer than
// `max_bytes`.
std::string ReadWholeFile(const std::string& path, int64_t max_bytes);

}  // namespace attention

#endif  // SRC_BASE_REGULAR_FILE_H_
