// Loaded in front of the C library (LD_PRELOAD): at a chosen call that changes a directory, the disk fails.
//
//   FAULTY_DISK_DIRECTORY  only files below it count
//   FAULTY_DISK_AT         which call, from 1; 0 or nothing: none, calls are only counted
//   FAULTY_DISK_KIND       fail: the call does nothing and reports a full disk, and so does every later one;
//                          tear: half of what was to be written is written, then the process dies;
//                          die: the process dies before the call; die_after: after it
//   FAULTY_DISK_COUNT      file that is told the number of calls so far
//
// Calls: write, fsync, fdatasync, rename, and open where it makes a file.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

enum class Fault { kNone, kFail, kTear, kDie, kDieAfter };

template <typename Function>
Function Real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

std::string Setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool IsBelow(const std::string& path) {
  const std::string directory = Setting("FAULTY_DISK_DIRECTORY");
  return !directory.empty() && path.compare(0, directory.size(), directory) == 0;
}

std::string PathOf(int file) {
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  const ssize_t length = readlink(link.c_str(), path, sizeof(path));
  return length < 0 ? "" : std::string(path, static_cast<size_t>(length));
}

std::string Absolute(const char* path) {
  if (path[0] == '/') return path;
  char directory[4096];
  return getcwd(directory, sizeof(directory)) == nullptr ? path : std::string(directory) + "/" + path;
}

std::atomic<int> calls{0};

// What is to happen at this call, which is counted.
Fault Next() {
  const int call = ++calls;
  const std::string count_file = Setting("FAULTY_DISK_COUNT");
  if (!count_file.empty()) {
    const int file =
        Real<int (*)(const char*, int, ...)>("open")(count_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    const std::string text = std::to_string(call);
    if (file >= 0) {
      (void)!Real<ssize_t (*)(int, const void*, size_t)>("write")(file, text.data(), text.size());
      close(file);
    }
  }
  const int at = std::atoi(Setting("FAULTY_DISK_AT").c_str());
  const std::string kind = Setting("FAULTY_DISK_KIND");
  if (at == 0 || call < at) return Fault::kNone;
  if (kind == "fail") return Fault::kFail;
  if (call > at) return Fault::kNone;
  return kind == "tear" ? Fault::kTear : kind == "die" ? Fault::kDie : Fault::kDieAfter;
}

[[noreturn]] void Die() {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

template <typename Call>
int Change(Call call) {
  const Fault fault = Next();
  if (fault == Fault::kFail) {
    errno = ENOSPC;
    return -1;
  }
  if (fault == Fault::kDie || fault == Fault::kTear) Die();
  const int result = call();
  if (fault == Fault::kDieAfter) Die();
  return result;
}

}  // namespace

extern "C" {

ssize_t write(int file, const void* bytes, size_t size) {
  const auto real = Real<ssize_t (*)(int, const void*, size_t)>("write");
  if (!IsBelow(PathOf(file))) return real(file, bytes, size);
  const Fault fault = Next();
  if (fault == Fault::kFail) {
    errno = ENOSPC;
    return -1;
  }
  if (fault == Fault::kDie) Die();
  const ssize_t result = real(file, bytes, fault == Fault::kTear ? size / 2 : size);
  if (fault == Fault::kTear || fault == Fault::kDieAfter) Die();
  return result;
}

int fsync(int file) {
  const auto real = Real<int (*)(int)>("fsync");
  return IsBelow(PathOf(file)) ? Change([&] { return real(file); }) : real(file);
}

int fdatasync(int file) {
  const auto real = Real<int (*)(int)>("fdatasync");
  return IsBelow(PathOf(file)) ? Change([&] { return real(file); }) : real(file);
}

int rename(const char* from, const char* to) {
  const auto real = Real<int (*)(const char*, const char*)>("rename");
  return IsBelow(Absolute(to)) ? Change([&] { return real(from, to); }) : real(from, to);
}

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? static_cast<mode_t>(va_arg(arguments, int)) : 0;
  va_end(arguments);
  const auto real = Real<int (*)(const char*, int, ...)>("open");
  if ((flags & O_CREAT) == 0 || !IsBelow(Absolute(path))) return real(path, flags, mode);
  return Change([&] { return real(path, flags, mode); });
}

}  // extern "C"
