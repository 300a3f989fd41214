// Files that survive crashes: whole or as they were before, and said to be written only when they are on
// disk.
//
// All functions throw Error. Where the disk took no more, its status is kInterrupted: what was written before
// is kept, and the run can be gone on with. Where something is in the way (rights, a directory), it is
// kBadUsage.
#ifndef SRC_EXPERIMENT_RECORD_DURABLE_FILE_H_
#define SRC_EXPERIMENT_RECORD_DURABLE_FILE_H_

#include <string>

namespace attention {

// In place of what is there, in one step; both the file and its name are on disk afterwards. Until then it is
// PATH.new, in place of whatever had that name.
void ReplaceFile(const std::string& path, const std::string& text);

// What was made, renamed or removed in a directory is on disk afterwards.
void SyncDirectory(const std::string& path);

// A file to which lines are added. A crash may leave the last ones cut, nothing else.
class AppendedFile {
 public:
  AppendedFile() = default;
  ~AppendedFile();
  AppendedFile(const AppendedFile&) = delete;
  AppendedFile& operator=(const AppendedFile&) = delete;

  // Made if it is not there.
  void Open(const std::string& path);
  // On disk afterwards.
  void Append(const std::string& text);

 private:
  std::string path_;
  int file_ = -1;
};

// Held while a process writes into a directory; given back when it ends, however it ends.
class DirectoryLock {
 public:
  DirectoryLock() = default;
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

  static constexpr const char* kName = ".lock";
  // Throws Error (bad usage) if another process holds it.
  void Take(const std::string& directory);

 private:
  int file_ = -1;
};

}  // namespace attention

#endif  // SRC_EXPERIMENT_RECORD_DURABLE_FILE_H_
