// A whole Qwen3 model over ranks: embedding, layers, final norm, LM head, K/V cache, greedy generation.
#ifndef SRC_QWEN3_MODEL_H_
#define SRC_QWEN3_MODEL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "src/mpi/communicator.h"
#include "src/qwen3/config.h"
#include "src/qwen3/decoder_step.h"
#include "src/qwen3/key_value_cache.h"
#include "src/qwen3/tensor_source.h"
#include "src/qwen3/weights.h"

namespace attention {

struct ModelOptions {
  Variant variant;
  ExecutionOptions execution;
  DataType weight_type = DataType::kFloat32;
  int64_t batch = 1;
  int64_t max_tokens = 0;  // longest sequence, prompt and generated
  // Called on every rank after each loaded layer; may be empty.
  std::function<void(int64_t layers_loaded, int64_t layers)> progress;
};

class Qwen3Model {
 public:
  // Collective. Loads this rank's share: decoder layers as StoredWeights says, embedding and LM head by
  // vocabulary whatever the strategy. Throws the same Error on every rank if a tensor is missing or misshaped
  // or memory is short. `communicator` must outlive the model.
  Qwen3Model(Communicator& communicator, const Qwen3Config& config, const TensorSource& source,
             const ModelOptions& options);

  const Qwen3Config& config() const { return config_; }
  // Tokens in the cache.
  int64_t tokens() const { return tokens_; }

  // Collective; ids are the same on every rank. Starts anew with the prompt [batch, tokens].
  void Prefill(std::span<const int64_t> ids);
  // Collective. Appends one token per sequence, [batch].
  void Decode(std::span<const int64_t> ids);

  // Collective; about the rows of the last Prefill or Decode. Row-major, on every rank.
  std::vector<float> LastTokenLogits();     // [batch, vocabulary]
  std::vector<float> AllTokenLogits();      // [batch, tokens of the step, vocabulary]
  std::vector<int64_t> GreedyNextTokens();  // [batch]: largest last-token logit, lowest id among equals
  // Prefill, then `count` greedy tokens: [batch, count]. The cache then holds all but the last of them.
  std::vector<int64_t> Generate(std::span<const int64_t> prompt, int64_t count);

  // Bytes of weights that computing one token reads on this rank (matrices; the embedding row not counted).
  int64_t weight_bytes_per_token() const;
  // Bytes of K/V cache that decoding one more token reads on this rank.
  int64_t cache_bytes_per_token() const;
  size_t memory_bytes() const;

 private:
  // Makes step_ fit, keeping it if the shape is the same; allocates nothing then.
  void PrepareStep(const StepShape& shape);
  void Run(std::span<const int64_t> ids);
  void Embed(std::span<const int64_t> ids);
  void BalanceCache();
  IndexRange VocabularyPanels(int rank) const;
  IndexRange Vocabulary(int rank) const;
  bool deals_tokens() const;  // hidden states of the last step are spread over ranks
  std::vector<float> LastHidden();
  // Final norm and this rank's part of the LM head: rows [rows, vocabulary], own columns filled.
  void OwnLogits(const std::vector<float>& hidden, int64_t rows, std::vector<float>& logits);

  Communicator* communicator_;
  Qwen3Config config_;
  ModelOptions options_;
  RotaryTable rotary_;
  std::vector<LayerStorage> layers_;
  std::vector<KeyValueCache> caches_;
  std::vector<float> final_norm_;
  PackedMatrix embedding_;  // rows of the rank's vocabulary
  PackedMatrix lm_head_;    // empty if tied

  int64_t tokens_ = 0;
  StepShape shape_;
  std::unique_ptr<DecoderStep> step_;
  std::vector<float> hidden_;  // of the rank's rows of the last step
};

}  // namespace attention

#endif  // SRC_QWEN3_MODEL_H_
