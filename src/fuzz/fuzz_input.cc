#include "src/fuzz/fuzz_input.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "src/base/error.h"

namespace attention {
namespace {

class Scratch {
 public:
  Scratch() {
    std::error_code ignored;
    const char* parent = std::filesystem::is_directory("/dev/shm", ignored) ? "/dev/shm" : "/tmp";
    std::string name = std::string(parent) + "/fuzz.XXXXXX";
    Promise(mkdtemp(name.data()) != nullptr, "a scratch directory can be made");
    path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

MemoryFile::MemoryFile(std::string_view content) : descriptor_(memfd_create("fuzz_input", MFD_CLOEXEC)) {
  Promise(descriptor_ >= 0, "a file in memory can be made");
  const ssize_t written = write(descriptor_, content.data(), content.size());
  Promise(written == static_cast<ssize_t>(content.size()), "the input fits into memory");
  path_ = "/proc/self/fd/" + std::to_string(descriptor_);
}

MemoryFile::~MemoryFile() { close(descriptor_); }

const std::string& ScratchDirectory() {
  static const Scratch kScratch;
  return kScratch.path();
}

void WriteScratch(const std::string& name, std::string_view content) {
  std::ofstream file(ScratchDirectory() + "/" + name, std::ios::binary | std::ios::trunc);
  file << content;
  Promise(file.good(), "a scratch file can be written");
}

bool TakesOrRefuses(const std::function<void()>& read) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    const std::string line = error.what();
    Promise(error.status() == ExitStatus::kBadUsage, "what is wrong with an input is bad usage");
    Promise(!line.empty(), "a complaint says something");
    Promise(line.find('\n') == std::string::npos, "a complaint is one line");
    return false;
  }
}

void Promise(bool kept, const char* promise) {
  if (kept) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

}  // namespace attention
