// A model's weights on disk: one safetensors file, or shards with their index, as Hugging Face lays them out.
#ifndef SRC_QWEN3_CHECKPOINT_CHECKPOINT_H_
#define SRC_QWEN3_CHECKPOINT_CHECKPOINT_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "src/qwen3/checkpoint/safetensors.h"

namespace attention {

// Every tensor of every file that was opened, named by the index or not: nothing is there that nobody sees.
// Names are those of a Qwen3ForCausalLM: where a Qwen3Model was saved by itself (Qwen3-Embedding), "model."
// is put in front of them.
class Checkpoint {
 public:
  // `path` is a .safetensors file, a model.safetensors.index.json, or a directory that holds either
  // model.safetensors or the index with its shards. Throws Error (bad usage), one line, if files are missing,
  // lie, or contradict each other: index and model.safetensors side by side (unless the index names just that
  // file), shards that no index names, one tensor in two shards with different content, an adapter that
  // would have to be applied.
  static Checkpoint Open(const std::string& path);

  const StoredTensor* Find(const std::string& name) const;
  const StoredTensor& Get(const std::string& name) const;
  const std::map<std::string, const StoredTensor*>& tensors() const { return tensors_; }
  // Directory of the weights, where config.json lies.
  const std::string& directory() const { return directory_; }

 private:
  void OpenIndex(const std::string& index_path);
  void AddTensors(const SafetensorsFile& file);
  void NameInsideCausalLm();

  std::string path_;
  std::string directory_;
  std::map<std::string, std::shared_ptr<const SafetensorsFile>> files_;  // by name in the directory
  std::map<std::string, const StoredTensor*> tensors_;
};

// Whether two tensors are the same bytes of the same type and shape.
bool SameContent(const StoredTensor& a, const StoredTensor& b);

}  // namespace attention

#endif  // SRC_QWEN3_CHECKPOINT_CHECKPOINT_H_
