// Any bytes as a safetensors file: every tensor that it claims to hold is read.
#include <algorithm>
#include <vector>

#include "src/fuzz/fuzz_input.h"
#include "src/qwen3/checkpoint/safetensors.h"

namespace attention {
namespace {

void ReadAll(const std::string& path) {
  constexpr int64_t kMostElements = 1 << 16;  // the rest is as far inside the file as these
  const std::shared_ptr<const SafetensorsFile> file = SafetensorsFile::Open(path);
  for (const auto& entry : file->tensors()) {
    const StoredTensor& tensor = entry.second;
    Promise(file->Find(entry.first) == &tensor, "a tensor is found by its name");
    unsigned sum = 0;
    for (const std::byte byte : tensor.data) sum += static_cast<unsigned>(byte);
    Promise(sum <= 255 * tensor.data.size(), "bytes can be read");
    TakesOrRefuses([&] {
      tensor.RequireFloat(tensor.shape);
      const int64_t elements = tensor.elements();
      Promise(elements >= 0, "a tensor has no fewer than no elements");
      std::vector<float> values(static_cast<size_t>(std::min(elements, kMostElements)));
      tensor.ReadFloats(0, values);
      tensor.ReadFloats(elements - static_cast<int64_t>(values.size()), values);
    });
  }
}

}  // namespace
}  // namespace attention

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const attention::MemoryFile file(attention::AsText(bytes, size));
  attention::TakesOrRefuses([&] { attention::ReadAll(file.path()); });
  return 0;
}
