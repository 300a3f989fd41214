#include "src/experiment/record/durable_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "src/base/error.h"

namespace attention {
namespace {

// What a disk that was enlarged, or a process that ended, gives back; anything else stays in the way until
// someone takes it away.
bool PassesBy(int error) {
  for (const int passing : {ENOSPC, EDQUOT, EFBIG, EIO, EINTR, ENOMEM, EMFILE, ENFILE}) {
    if (error == passing) return true;
  }
  return false;
}

[[noreturn]] void FailToWrite(const std::string& path, int error) {
  const bool passes = PassesBy(error);
  throw Error(internal::Concatenate("cannot write ", path, ": ", std::strerror(error),
                                    "; what was measured before is kept, --resume goes on",
                                    passes ? "" : " when it can be written"),
              passes ? ExitStatus::kInterrupted : ExitStatus::kBadUsage);
}

void WriteAll(int file, const std::string& text, const std::string& path) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = write(file, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) FailToWrite(path, errno);
    done += static_cast<size_t>(count);
  }
}

// Some file systems know no sync, or need none.
bool IsSynced(int result) { return result == 0 || errno == EINVAL || errno == EROFS || errno == ENOTSUP; }

class OpenFile {
 public:
  explicit OpenFile(int file) : file_(file) {}
  ~OpenFile() { close(file_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int get() const { return file_; }

 private:
  int file_;
};

}  // namespace

void SyncDirectory(const std::string& path) {
  const int opened = open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0) FailToWrite(path, errno);
  const OpenFile directory(opened);
  if (!IsSynced(fsync(directory.get()))) FailToWrite(path, errno);
}

void ReplaceFile(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new";
  // What a killed process left, or anyone: a FIFO would block, a link would lead elsewhere.
  if (unlink(temporary.c_str()) != 0 && errno != ENOENT) FailToWrite(temporary, errno);
  const int opened = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (opened < 0) FailToWrite(temporary, errno);
  {
    const OpenFile file(opened);
    WriteAll(file.get(), text, temporary);
    if (!IsSynced(fsync(file.get()))) FailToWrite(temporary, errno);
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) FailToWrite(path, errno);
  SyncDirectory(std::filesystem::path(path).parent_path().string());
}

AppendedFile::~AppendedFile() {
  if (file_ >= 0) close(file_);
}

void AppendedFile::Open(const std::string& path) {
  path_ = path;
  file_ = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_ < 0) FailToWrite(path, errno);
}

void AppendedFile::Append(const std::string& text) {
  WriteAll(file_, text, path_);
  if (!IsSynced(fdatasync(file_))) FailToWrite(path_, errno);
}

DirectoryLock::~DirectoryLock() {
  if (file_ >= 0) close(file_);
}

void DirectoryLock::Take(const std::string& directory) {
  const std::string path = directory + "/" + kName;
  file_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file_ < 0) FailUsage(directory, ": cannot be written: ", std::strerror(errno));
  if (flock(file_, LOCK_EX | LOCK_NB) == 0) return;
  if (errno == EWOULDBLOCK) {
    FailUsage(directory, ": another process is writing into it; wait for it, or take another directory");
  }
  // A file system without locks: there is nothing better to be had.
}

}  // namespace attention
