#include "src/qwen3/checkpoint/safetensors.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "src/base/data_type.h"
#include "src/base/error.h"
#include "src/base/regular_file.h"
#include "src/qwen3/checkpoint/strict_json.h"

namespace attention {
namespace {

// The reference implementation's limit: longer headers are attacks, not models.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;

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
    // A further key, such as a scale, would go unread.
    if (!entry.is_object() || !entry.contains(key) || entry.size() != 3) {
      FailUsage(where, ": expected an object with dtype, shape and data_offsets only, got ", JsonText(entry));
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
  const RegularFile file(path);
  if (file.size() == 0) return;
  void* mapping =
      mmap(nullptr, static_cast<size_t>(file.size()), PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
  if (mapping == MAP_FAILED) FailUsage(path, ": cannot be mapped into memory: ", std::strerror(errno));
  mapping_ = static_cast<const std::byte*>(mapping);
  mapping_bytes_ = static_cast<size_t>(file.size());
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
    if (entry.is_null()) continue;  // the reference reader takes it for none
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

}  // namespace attention
