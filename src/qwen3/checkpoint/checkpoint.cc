#include "src/qwen3/checkpoint/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "src/base/error.h"
#include "src/base/regular_file.h"
#include "src/qwen3/checkpoint/strict_json.h"

namespace attention {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxIndexBytes = 100'000'000;
constexpr char kSingleFile[] = "model.safetensors";
constexpr char kIndexFile[] = "model.safetensors.index.json";

// "model-00002-of-00003.safetensors".
bool IsShardName(const std::string& name) {
  std::string pattern;
  for (char c : name) pattern += c >= '0' && c <= '9' ? '0' : c;
  pattern.erase(
      std::unique(pattern.begin(), pattern.end(), [](char a, char b) { return a == '0' && b == '0'; }),
      pattern.end());
  return pattern == "model-0-of-0.safetensors";
}

std::vector<std::string> FileNames(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) FailUsage(directory, ": cannot be listed: ", error.message());
  std::sort(names.begin(), names.end());
  return names;
}

// The file of a directory that says where the tensors are.
std::string EntryOf(const std::string& directory) {
  const std::vector<std::string> names = FileNames(directory);
  const auto holds = [&](const char* name) { return std::ranges::binary_search(names, std::string(name)); };
  for (const char* adapter : {"adapter_config.json", "adapter_model.safetensors"}) {
    if (holds(adapter)) {
      FailUsage(directory, ": holds ", adapter, ", and adapters are not applied; merge it into the weights");
    }
  }
  if (holds(kIndexFile)) return kIndexFile;
  if (holds(kSingleFile)) return kSingleFile;
  FailUsage(directory, ": holds neither ", kSingleFile, " nor ", kIndexFile);
}

}  // namespace

bool SameContent(const StoredTensor& a, const StoredTensor& b) {
  return a.data_type == b.data_type && a.shape == b.shape &&
         (a.data.empty() || std::memcmp(a.data.data(), b.data.data(), a.data.size()) == 0);
}

Checkpoint Checkpoint::Open(const std::string& path) {
  Checkpoint checkpoint;
  checkpoint.path_ = path;
  std::error_code ignored;
  const bool is_directory = fs::is_directory(path, ignored);
  const std::string file = is_directory ? path + "/" + EntryOf(path) : path;
  const fs::path parent = fs::path(file).parent_path();
  checkpoint.directory_ = parent.empty() ? "." : is_directory ? path : parent.string();
  const bool is_index = file.ends_with(".json");
  if (is_index) {
    checkpoint.OpenIndex(file);
  } else {
    const std::string name = fs::path(file).filename().string();
    const auto opened = checkpoint.files_.emplace(name, SafetensorsFile::Open(file)).first;
    checkpoint.AddTensors(*opened->second);
  }
  checkpoint.NameInsideCausalLm();
  // Whoever names one file means that file.
  if (!is_directory && !is_index) return checkpoint;
  for (const std::string& name : FileNames(checkpoint.directory_)) {
    if (checkpoint.files_.contains(name)) continue;
    if (name == kSingleFile && is_directory) {
      FailUsage(checkpoint.directory_, ": holds both ", kSingleFile, " and ", kIndexFile,
                ", which names other files; name the one that is meant");
    }
    if (IsShardName(name)) {
      FailUsage(checkpoint.directory_, ": holds ", name, ", which ", fs::path(file).filename().string(),
                is_index ? " does not name" : " lies beside; name the file that is meant");
    }
  }
  return checkpoint;
}

void Checkpoint::NameInsideCausalLm() {
  const bool is_causal_lm =
      std::ranges::any_of(tensors_, [](const auto& entry) { return entry.first.starts_with("model."); });
  if (is_causal_lm || !tensors_.contains("embed_tokens.weight")) return;
  std::map<std::string, const StoredTensor*> named;
  for (const auto& [name, tensor] : tensors_) {
    const std::string first = name.substr(0, name.find('.'));
    const bool is_inside =
        first == "layers" || first == "embed_tokens" || first == "norm" || first == "rotary_emb";
    named.emplace(is_inside ? "model." + name : name, tensor);
  }
  tensors_ = std::move(named);
}

void Checkpoint::AddTensors(const SafetensorsFile& file) {
  for (const auto& [name, tensor] : file.tensors()) {
    const auto [place, is_new] = tensors_.emplace(name, &tensor);
    if (is_new || SameContent(*place->second, tensor)) continue;
    FailUsage(tensor.Where(), ": is in ", place->second->file, " too, with other content");
  }
}

void Checkpoint::OpenIndex(const std::string& index_path) {
  const nlohmann::json index = ParseStrictJson(ReadWholeFile(index_path, kMaxIndexBytes), index_path);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    FailUsage(index_path, ": expected an object with a weight_map of tensor names to file names");
  }
  for (const auto& [name, value] : index["weight_map"].items()) {
    const std::string file = value.is_string() ? value.get<std::string>() : "";
    // Shards lie beside their index; anything else could point anywhere on the machine.
    if (file.empty() || file.find('/') != std::string::npos || file == "." || file == ".." ||
        file.find('\0') != std::string::npos) {
      FailUsage(index_path, ": tensor '", Printable(name),
                "': expected the name of a file beside the index, is ", JsonText(value));
    }
    auto& shard = files_[file];
    if (shard == nullptr) shard = SafetensorsFile::Open(directory_ + "/" + file);
    if (shard->Find(name) == nullptr) {
      FailUsage(shard->path(), ": tensor '", Printable(name), "' is missing, ", index_path,
                " says it is here");
    }
  }
  for (const auto& [name, file] : files_) AddTensors(*file);
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
