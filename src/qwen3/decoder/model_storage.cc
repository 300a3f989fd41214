#include "src/qwen3/decoder/model_storage.h"

#include <algorithm>
#include <string>

#include "src/base/error.h"
#include "src/mpi/agreement.h"

namespace attention {
namespace {

// Ids travel as floats beside their logits.
constexpr int64_t kMaxVocabulary = int64_t{1} << 24;

}  // namespace

IndexRange VocabularyPanels(const Qwen3Config& config, int64_t ranks, int64_t rank) {
  return BalancedRange(PanelCount(config.vocabulary_size), ranks, rank);
}

IndexRange VocabularyRows(const Qwen3Config& config, int64_t ranks, int64_t rank) {
  const IndexRange panels = VocabularyPanels(config, ranks, rank);
  return {std::min(panels.begin * kPanelOutputs, config.vocabulary_size),
          std::min(panels.end * kPanelOutputs, config.vocabulary_size)};
}

std::shared_ptr<const ModelStorage> ModelStorage::Load(const Communicator& communicator,
                                                       const Qwen3Config& config, const TensorSource& source,
                                                       const Options& options) {
  std::shared_ptr<ModelStorage> storage(new ModelStorage);
  storage->config_ = config;
  storage->strategy_ = options.strategy;
  AgreeOnErrors(communicator, [&] {
    Require(config.vocabulary_size >= 1 && config.vocabulary_size <= kMaxVocabulary, "model: vocabulary of ",
            config.vocabulary_size);
    const WeightShare share =
        StoredWeights(config, options.strategy, communicator.size(), communicator.rank());
    const IndexRange vocabulary = VocabularyRows(config, communicator.size(), communicator.rank());
    const auto load_rows = [&](const char* name) {
      return LoadMatrix(
          source, {name, config.vocabulary_size, config.hidden_size, vocabulary, {0, config.hidden_size}},
          options.type, options.threads);
    };
    storage->embedding_ = load_rows("model.embed_tokens.weight");
    if (!config.tied_embeddings && config.has_lm_head) storage->lm_head_ = load_rows("lm_head.weight");
    storage->final_norm_ = LoadVector(source, "model.norm.weight", config.hidden_size);
    for (int64_t layer = 0; layer < config.layers; ++layer) {
      storage->layers_.emplace_back(source, "model.layers." + std::to_string(layer) + ".", config, share,
                                    options.type, options.threads);
      if (options.progress) options.progress(layer + 1, config.layers);
    }
  });
  return storage;
}

size_t ModelStorage::size_bytes() const {
  size_t bytes = embedding_.size_bytes() + lm_head_.size_bytes();
  for (const LayerStorage& layer : layers_) bytes += layer.size_bytes();
  return bytes;
}

}  // namespace attention
