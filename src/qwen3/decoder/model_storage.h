// A whole model's weights as one rank holds them; shared by models that differ in anything but strategy.
#ifndef SRC_QWEN3_DECODER_MODEL_STORAGE_H_
#define SRC_QWEN3_DECODER_MODEL_STORAGE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "src/mpi/communicator.h"
#include "src/parallel/strategy/strategy.h"
#include "src/qwen3/checkpoint/config.h"
#include "src/qwen3/checkpoint/tensor_source.h"
#include "src/qwen3/decoder/weights.h"

namespace attention {

// Panels, and rows, of the embedding and the LM head that a rank holds.
IndexRange VocabularyPanels(const Qwen3Config& config, int64_t ranks, int64_t rank);
IndexRange VocabularyRows(const Qwen3Config& config, int64_t ranks, int64_t rank);

class ModelStorage {
 public:
  struct Options {
    ParallelStrategy strategy = ParallelStrategy::kHeadwise;
    DataType type = DataType::kFloat32;
    int threads = 1;
    // Called after each loaded layer; may be empty.
    std::function<void(int64_t layers_loaded, int64_t layers)> progress;
  };

  // Collective. Loads this rank's share: decoder layers as StoredWeights says, embedding and LM head by
  // vocabulary whatever the strategy. Throws the same Error on every rank if a tensor is missing or misshaped
  // or memory is short.
  static std::shared_ptr<const ModelStorage> Load(const Communicator& communicator, const Qwen3Config& config,
                                                  const TensorSource& source, const Options& options);

  const Qwen3Config& config() const { return config_; }
  ParallelStrategy strategy() const { return strategy_; }
  const std::vector<LayerStorage>& layers() const { return layers_; }
  const std::vector<float>& final_norm() const { return final_norm_; }
  const PackedMatrix& embedding() const { return embedding_; }
  const PackedMatrix& lm_head() const { return config_.tied_embeddings ? embedding_ : lm_head_; }
  size_t size_bytes() const;

 private:
  ModelStorage() = default;

  Qwen3Config config_;
  ParallelStrategy strategy_ = ParallelStrategy::kHeadwise;
  std::vector<LayerStorage> layers_;
  std::vector<float> final_norm_;
  PackedMatrix embedding_;
  PackedMatrix lm_head_;  // empty if tied, or if there is none
};

}  // namespace attention

#endif  // SRC_QWEN3_DECODER_MODEL_STORAGE_H_
