// What the fuzz targets share. Each target is a file with one function, LLVMFuzzerTestOneInput, that gives
// any bytes to a reader. What may come of it: the reader takes them, or throws Error (bad usage) of one line.
// Everything else is a finding: another exception, a crash, a sanitizer's complaint, a hang, or a broken
// promise (Promise).
#ifndef SRC_FUZZ_FUZZ_INPUT_H_
#define SRC_FUZZ_FUZZ_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace attention {

// A regular file in memory that readers of paths can open.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view content);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  int descriptor_ = -1;
  std::string path_;
};

// A directory of this process for readers of directories, in memory where the system has such a place;
// removed at its end.
const std::string& ScratchDirectory();
// In it; what was there is replaced.
void WriteScratch(const std::string& name, std::string_view content);

// Runs `read`; an Error must be bad usage and one line that says something. Returns whether there was none.
bool TakesOrRefuses(const std::function<void()>& read);

// Ends the process with the message unless `kept`: the fuzzer keeps the input.
void Promise(bool kept, const char* promise);

inline std::string_view AsText(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace attention

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

#endif  // SRC_FUZZ_FUZZ_INPUT_H_
