#include "src/base/regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "src/base/error.h"

namespace attention {

RegularFile::RegularFile(const std::string& path) {
  // Without O_NONBLOCK, open() of a FIFO waits for a writer; regular files do not care. O_NOCTTY: a terminal
  // must not become this process's own before it is refused.
  descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor_ < 0) FailUsage(path, ": cannot be opened: ", std::strerror(errno));
  struct stat status;
  if (fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(descriptor_);
    FailUsage(path, ": is not a regular file");
  }
  size_ = status.st_size;
}

RegularFile::~RegularFile() { close(descriptor_); }

std::string ReadWholeFile(const std::string& path, int64_t max_bytes) {
  const RegularFile file(path);
  std::string text;
  std::vector<char> block(65536);
  // To the end, not to size(): it may grow, and files of /proc claim to be empty.
  for (;;) {
    // Asked before the first read too: a sparse file of terabytes is refused without being read.
    if (static_cast<int64_t>(text.size()) > max_bytes || file.size() > max_bytes) {
      FailUsage(path, ": longer than the ", max_bytes, " bytes expected of such a file");
    }
    const ssize_t count = read(file.descriptor(), block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) FailUsage(path, ": cannot be read: ", std::strerror(errno));
    if (count == 0) return text;
    text.append(block.data(), static_cast<size_t>(count));
  }
}

}  // namespace attention
