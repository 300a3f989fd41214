// Any bytes as a checkpoint's config.json.
#include "src/fuzz/fuzz_input.h"
#include "src/qwen3/checkpoint/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const attention::MemoryFile file(attention::AsText(bytes, size));
  attention::TakesOrRefuses([&] {
    const attention::Qwen3Config config = attention::Qwen3Config::FromFile(file.path());
    attention::Promise(config.kv_heads > 0 && config.query_heads % config.kv_heads == 0,
                       "KV heads divide query heads");
    attention::Promise(config.head_dim > 0 && config.head_dim % 2 == 0, "the head dimension is even");
    attention::Promise(config.parameters() > 0, "a model has parameters");
  });
  return 0;
}
