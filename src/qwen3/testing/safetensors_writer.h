// For tests: puts safetensors files together from parts, honest ones and lying ones.
#ifndef SRC_QWEN3_TESTING_SAFETENSORS_WRITER_H_
#define SRC_QWEN3_TESTING_SAFETENSORS_WRITER_H_

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace attention {

// A directory of one test, removed with it.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "safetensors.XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~ScratchDirectory() { std::filesystem::remove_all(path_); }
  std::string Write(const std::string& name, const std::string& bytes) const {
    const std::string path = path_ + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// length, header, data; the length is the header's own unless told otherwise.
inline std::string SafetensorsBytes(const std::string& header, const std::string& data, int64_t length = -1) {
  const uint64_t claimed = length < 0 ? header.size() : static_cast<uint64_t>(length);
  std::string bytes(sizeof claimed, '\0');
  std::memcpy(bytes.data(), &claimed, sizeof claimed);
  return bytes + header + data;
}

}  // namespace attention

#endif  // SRC_QWEN3_TESTING_SAFETENSORS_WRITER_H_
