#include "src/qwen3/checkpoint/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

#include "src/base/data_type.h"
#include "src/base/error.h"
#include "src/qwen3/checkpoint/strict_json.h"

namespace attention {
namespace {

// The reference implementation's limit: longer headers are attacks, not models.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr int64_t kMaxIndexBytes = 100'000'000;

struct TypeSize {
  const char* name;
  int64_t bytes;
};
constexpr TypeSize kTypeSizes[] = {
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
    {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"I64", 8},     {"U64", 8}, {"F64", 8},
};

int64_t BytesPerElement(const std::string& data_type) {
  for (const TypeSize& type : kTypeSizes) {
    if (data_type == type.name) return type.bytes;
  }
  return 0;
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

// Names and JSON values come from the file: keep error messages to one line of bounded length.
std::string Printable(std::string text) {
  if (text.size() > 200) text = text.substr(0, 200) + "...";
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return text;
}

std::string JsonText(const nlohmann::json& value) {
  return Printable(value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
}

// IEEE binary16 to binary32, exact.
float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1Fu;
  const uint32_t mantissa = half & 0x3FFu;
  if (exponent == 0) {
    const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  const uint32_t wide_exponent = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | (wide_exponent << 23) | (mantissa << 13));
}

// shape, type and byte range of one header entry, checked against the data that is there.
StoredTensor ParseEntry(const std::string& path, const std::string& name, const nlohmann::json& entry,
                        std::span<const std::byte> data) {
  StoredTensor tensor;
  tensor.file = path;
  tensor.name = Printable(name);
  const std::string where = tensor.Where();
  for (const char* key : {"dtype", "shape", "data_offsets"}) {
    if (!entry.is_object() || !entry.contains(key)) {
      FailUsage(where, ": expected an object with dtype, shape and data_offsets, got ", JsonText(entry));
    }
  }
  if (!entry["dtype"].is_string())
    FailUsage(where, ": dtype should be a string, is ", JsonText(entry["dtype"]));
  tensor.data_type = Printable(entry["dtype"].get<std::string>());
  const int64_t element_bytes = BytesPerElement(tensor.data_type);
  if (element_bytes == 0) FailUsage(where, ": unknown dtype \"", tensor.data_type, "\"");

  if (!entry["shape"].is_array()) FailUsage(where, ": shape should be a list, is ", JsonText(entry["shape"]));
  int64_t bytes = element_bytes;
  bool overflow = false;
  for (const auto& size : entry["shape"]) {
    const auto count = AsCount(size);
    if (!count) FailUsage(where, ": shape should be whole numbers >= 0, is ", JsonText(entry["shape"]));
    overflow = overflow || __builtin_mul_overflow(bytes, *count, &bytes);
    tensor.shape.push_back(*count);
  }
  if (overflow) FailUsage(where, ": shape ", ShapeText(tensor.shape), " overflows");

  const auto& offsets = entry["data_offsets"];
  const bool is_pair = offsets.is_array() && offsets.size() == 2;
  const int64_t begin = is_pair ? AsCount(offsets[0]).value_or(-1) : -1;
  const int64_t end = is_pair ? AsCount(offsets[1]).value_or(-1) : -1;
  if (begin < 0 || end < begin) {
    FailUsage(where, ": data_offsets should be [begin, end], is ", JsonText(offsets));
  }
  if (end > static_cast<int64_t>(data.size())) {
    FailUsage(where, ": data_offsets ", JsonText(offsets), " reach beyond the ", data.size(),
              " bytes of data in the file (truncated?)");
  }
  if (end - begin != bytes) {
    FailUsage(where, ": ", tensor.data_type, " of shape ", ShapeText(tensor.shape), " takes ", bytes,
              " bytes, data_offsets ", JsonText(offsets), " hold ", end - begin);
  }
  tensor.data = data.subspan(static_cast<size_t>(begin), static_cast<size_t>(bytes));
  return tensor;
}

// The format promises that the tensors tile the data: no overlap, no hole, nothing behind the last.
void CheckTiling(const std::map<std::string, StoredTensor>& tensors, std::span<const std::byte> data,
                 const std::string& path) {
  std::vector<const StoredTensor*> order;
  for (const auto& [name, tensor] : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const StoredTensor* a, const StoredTensor* b) {
    return std::pair(a->data.data(), a->data.size()) < std::pair(b->data.data(), b->data.size());
  });
  const std::byte* covered = data.data();
  const StoredTensor* previous = nullptr;
  for (const StoredTensor* tensor : order) {
    if (tensor->data.data() < covered) {
      FailUsage(tensor->Where(), ": its data_offsets overlap those of '", previous->name, "'");
    }
    if (tensor->data.data() > covered) {
      FailUsage(tensor->Where(), ": ", tensor->data.data() - covered,
                " bytes before its data belong to no tensor");
    }
    covered = tensor->data.data() + tensor->data.size();
    previous = tensor;
  }
  if (covered != data.data() + data.size()) {
    FailUsage(path, ": ", data.data() + data.size() - covered, " bytes after the last tensor belong to none");
  }
}

}  // namespace

std::string StoredTensor::Where() const { return file + ": tensor '" + name + "'"; }

int64_t StoredTensor::elements() const {
  int64_t count = 1;
  for (int64_t size : shape) count *= size;
  return count;
}

void StoredTensor::RequireFloat(const std::vector<int64_t>& expected) const {
  if (shape != expected)
    FailUsage(Where(), ": expected shape ", ShapeText(expected), ", is ", ShapeText(shape));
  if (data_type != "F32" && data_type != "BF16" && data_type != "F16") {
    FailUsage(Where(), ": expected dtype F32, BF16 or F16, is ", data_type);
  }
}

void StoredTensor::ReadFloats(int64_t begin, std::span<float> output) const {
  const int64_t count = static_cast<int64_t>(output.size());
  Require(begin >= 0 && count <= elements() - begin, Where(), ": elements ", begin, " to ", begin + count,
          " asked of ", elements());
  if (output.empty()) return;
  if (data_type == "F32") {
    std::memcpy(output.data(), data.data() + begin * 4, output.size_bytes());
    return;
  }
  Require(data_type == "BF16" || data_type == "F16", Where(), ": ", data_type, " cannot be read as floats");
  const bool is_half = data_type == "F16";
  const std::byte* source = data.data() + begin * 2;
  for (float& value : output) {
    uint16_t bits;
    std::memcpy(&bits, source, sizeof bits);
    source += sizeof bits;
    value = is_half ? HalfToFloat(bits) : Bfloat16{bits}.ToFloat();
  }
}

SafetensorsFile::SafetensorsFile(const std::string& path) : path_(path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) FailUsage(path, ": cannot be opened: ", std::strerror(errno));
  struct stat status;
  const bool is_file = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  if (is_file && status.st_size > 0) {
    void* mapping = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (mapping != MAP_FAILED) {
      mapping_ = static_cast<const std::byte*>(mapping);
      mapping_bytes_ = static_cast<size_t>(status.st_size);
    }
  }
  const int error = errno;
  close(descriptor);
  if (!is_file) FailUsage(path, ": is not a regular file");
  if (status.st_size > 0 && mapping_ == nullptr) {
    FailUsage(path, ": cannot be mapped into memory: ", std::strerror(error));
  }
}

SafetensorsFile::~SafetensorsFile() {
  if (mapping_ != nullptr) munmap(const_cast<std::byte*>(mapping_), mapping_bytes_);
}

std::shared_ptr<const SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  // Owned before parsing, so that a refused file is unmapped again.
  std::shared_ptr<SafetensorsFile> file(new SafetensorsFile(path));
  file->ParseHeader();
  return file;
}

void SafetensorsFile::ParseHeader() {
  uint64_t header_bytes = 0;
  if (mapping_bytes_ < sizeof header_bytes) {
    FailUsage(path_, ": ", mapping_bytes_, " bytes are too few for a safetensors file (truncated?)");
  }
  std::memcpy(&header_bytes, mapping_, sizeof header_bytes);
  const size_t rest = mapping_bytes_ - sizeof header_bytes;
  if (header_bytes > kMaxHeaderBytes || header_bytes > rest) {
    FailUsage(path_, ": the header claims ", header_bytes, " bytes, the file has ", rest, " after the length",
              " (not a safetensors file, or truncated)");
  }
  const std::byte* header = mapping_ + sizeof header_bytes;
  const std::span<const std::byte> data(header + header_bytes, rest - header_bytes);
  const nlohmann::json json =
      ParseStrictJson({reinterpret_cast<const char*>(header), header_bytes}, path_ + ": header");
  if (!json.is_object()) FailUsage(path_, ": the header should be a JSON object");
  for (const auto& [name, entry] : json.items()) {
    if (name != "__metadata__") {
      tensors_.emplace(name, ParseEntry(path_, name, entry, data));
      continue;
    }
    if (!entry.is_object()) FailUsage(path_, ": __metadata__ should map strings to strings");
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) {
        FailUsage(path_, ": metadata '", Printable(key), "' should be a string, is ", JsonText(value));
      }
      metadata_.emplace(key, value.get<std::string>());
    }
  }
  CheckTiling(tensors_, data, path_);
}

const StoredTensor* SafetensorsFile::Find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

const StoredTensor& SafetensorsFile::Get(const std::string& name) const {
  const StoredTensor* tensor = Find(name);
  if (tensor == nullptr) FailUsage(path_, ": tensor '", name, "' is missing");
  return *tensor;
}

Checkpoint Checkpoint::Open(const std::string& path) {
  namespace fs = std::filesystem;
  Checkpoint checkpoint;
  checkpoint.path_ = path;
  std::error_code ignored;
  std::string file = path;
  if (fs::is_directory(path, ignored)) {
    const std::string single = path + "/model.safetensors";
    const std::string index = single + ".index.json";
    if (fs::exists(index, ignored)) {
      file = index;
    } else if (fs::exists(single, ignored)) {
      file = single;
    } else {
      FailUsage(path, ": holds neither model.safetensors nor model.safetensors.index.json");
    }
  }
  const fs::path parent = fs::path(file).parent_path();
  checkpoint.directory_ = parent.empty() ? "." : parent.string();
  if (file.ends_with(".json")) {
    checkpoint.OpenIndex(file);
  } else {
    checkpoint.files_.push_back(SafetensorsFile::Open(file));
    for (const auto& [name, tensor] : checkpoint.files_[0]->tensors()) {
      checkpoint.tensors_.emplace(name, &tensor);
    }
  }
  return checkpoint;
}

void Checkpoint::OpenIndex(const std::string& index_path) {
  const nlohmann::json index = ParseStrictJson(ReadWholeFile(index_path, kMaxIndexBytes), index_path);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    FailUsage(index_path, ": expected an object with a weight_map of tensor names to file names");
  }
  std::map<std::string, const SafetensorsFile*> open;
  for (const auto& [name, value] : index["weight_map"].items()) {
    const std::string file = value.is_string() ? value.get<std::string>() : "";
    // Shards lie beside their index; anything else could point anywhere on the machine.
    if (file.empty() || file.find('/') != std::string::npos || file == "." || file == "..") {
      FailUsage(index_path, ": tensor '", Printable(name),
                "': expected the name of a file beside the index, is ", JsonText(value));
    }
    auto& shard = open[file];
    if (shard == nullptr) {
      files_.push_back(SafetensorsFile::Open(directory_ + "/" + file));
      shard = files_.back().get();
    }
    const StoredTensor* tensor = shard->Find(name);
    if (tensor == nullptr) {
      FailUsage(shard->path(), ": tensor '", Printable(name), "' is missing, ", index_path,
                " says it is here");
    }
    tensors_.emplace(name, tensor);
  }
}

const StoredTensor* Checkpoint::Find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second;
}

const StoredTensor& Checkpoint::Get(const std::string& name) const {
  const StoredTensor* tensor = Find(name);
  if (tensor == nullptr) FailUsage(path_, ": tensor '", name, "' is missing");
  return *tensor;
}

}  // namespace attention
