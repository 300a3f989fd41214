// Reader of the safetensors format (huggingface/safetensors): 8 bytes of little-endian header length N, N
// bytes of JSON naming every tensor with dtype, shape and byte range, then the data. Memory-mapped: only what
// is used is read from disk.
//
// Files are not trusted. Everything is checked against the bytes present before a pointer is handed out; a
// file that does not keep its promises gets one line of Error (bad usage) naming file, tensor and
// expectation. A file cut short by someone else while it is mapped is outside what can be checked.
#ifndef SRC_QWEN3_CHECKPOINT_SAFETENSORS_H_
#define SRC_QWEN3_CHECKPOINT_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace attention {

// One tensor of a file: row-major, little-endian, not necessarily aligned. Valid while the file is open.
struct StoredTensor {
  std::string file;
  std::string name;
  std::string data_type;  // as stored: "F32", "BF16", "F16", "I64", ...
  std::vector<int64_t> shape;
  std::span<const std::byte> data;

  // "FILE: tensor 'NAME'", to start an error with.
  std::string Where() const;
  int64_t elements() const;
  // Throws Error unless the shape is exactly `expected` and the type is F32, BF16 or F16.
  void RequireFloat(const std::vector<int64_t>& expected) const;
  // Converts elements [begin, begin + output.size()) of the flattened tensor; call RequireFloat first.
  // BF16 and F16 widen exactly.
  void ReadFloats(int64_t begin, std::span<float> output) const;
};

class SafetensorsFile {
 public:
  static std::shared_ptr<const SafetensorsFile> Open(const std::string& path);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::string& path() const { return path_; }
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Null if there is none of that name.
  const StoredTensor* Find(const std::string& name) const;
  // Error naming file and tensor if there is none.
  const StoredTensor& Get(const std::string& name) const;

 private:
  explicit SafetensorsFile(const std::string& path);
  void ParseHeader();

  std::string path_;
  const std::byte* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
  std::map<std::string, StoredTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace attention

#endif  // SRC_QWEN3_CHECKPOINT_SAFETENSORS_H_
