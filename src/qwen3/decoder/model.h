// A whole Qwen3 model over ranks: embedding, layers, final norm, LM head, K/V cache, greedy generation.
#ifndef SRC_QWEN3_DECODER_MODEL_H_
#define SRC_QWEN3_DECODER_MODEL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "src/base/aligned_buffer.h"
#include "src/mpi/communicator.h"
#include "src/qwen3/checkpoint/config.h"
#include "src/qwen3/decoder/decoder_step.h"
#include "src/qwen3/decoder/key_value_cache.h"
#include "src/qwen3/decoder/model_storage.h"
#include "src/qwen3/decoder/precision.h"
#include "src/qwen3/decoder/rank_collectives.h"
#include "src/qwen3/decoder/synthetic_cache.h"
#include "src/qwen3/linear/linear.h"
#include "src/qwen3/linear/rotary.h"

namespace attention {

struct ModelOptions {
  Variant variant;
  ExecutionOptions execution;
  int64_t batch = 1;
  int64_t max_tokens = 0;  // longest sequence, prompt and generated
  DecoderPrecision precision = {};
};

// Which token's hidden state stands for a text.
enum class Pooling { kLastToken, kMean };

class Qwen3Model {
 public:
  // Collective. The storage was loaded for the variant's strategy (on one rank: for any), over the same
  // ranks. Throws the same Error on every rank if it was not, or if memory for the cache is short.
  // `communicator` must outlive the model.
  Qwen3Model(Communicator& communicator, std::shared_ptr<const ModelStorage> storage,
             const ModelOptions& options);

  const Qwen3Config& config() const { return config_; }
  // Tokens in the cache.
  int64_t tokens() const { return tokens_; }

  // Collective; ids are the same on every rank. Starts anew with the prompt [batch, tokens]. Tokens see later
  // ones too if the config says so.
  void Prefill(std::span<const int64_t> ids);
  // Instead of a prompt: made keys and values, as many as `cached` has tokens. Collective where layers slide.
  void FillCache(const SyntheticCache& cached);
  // Collective. Appends one token per sequence, [batch]. Of a causal model.
  void Decode(std::span<const int64_t> ids);
  // Forgets the last decoded token, so that its decoding can be repeated.
  void Rewind();

  // Collective; about the rows of the last Prefill or Decode. Row-major, on every rank. Logits are of a model
  // with an LM head.
  std::vector<float> LastTokenLogits();  // [batch, vocabulary]
  std::vector<float> AllTokenLogits();   // [batch, tokens of the step, vocabulary]
  // Behind the final norm, of the last token or averaged over the tokens of the step: [batch, hidden].
  std::vector<float> PooledHidden(Pooling pooling);
  // Of a Prefill of `ids`, batch 1: ln p(ids[t + 1] | ids[0 .. t]) for every t but the last, on every rank;
  // double sums over float32 logits. The same Error on every rank if a logit is not finite.
  std::vector<double> NextTokenLogProbabilities(std::span<const int64_t> ids);
  // [batch]: largest last-token logit, lowest id among equals. The same Error on every rank if a logit is not
  // finite: there is no largest then.
  std::vector<int64_t> GreedyNextTokens();
  // Prefill, then `count` greedy tokens: [batch, count]. The cache then holds all but the last of them.
  std::vector<int64_t> Generate(std::span<const int64_t> prompt, int64_t count);

  int64_t weight_bytes() const { return static_cast<int64_t>(storage_->size_bytes()); }
  // Allocated by this model: cache and step, not the shared weights.
  size_t workspace_bytes() const;
  // Kernel tiles of the last step.
  TileSizes tiles() const { return last_ == nullptr ? TileSizes{} : last_->decoder.attention().tiles(); }

 private:
  // A step and what goes in and out of it.
  struct Step {
    Step(Communicator& communicator, const Qwen3Config& config, const ModelOptions& options,
         const RotaryTable& rotary, const StepShape& step_shape);
    StepShape shape;
    DecoderStep decoder;
    RankSum embedding_sum;
    AlignedBuffer embedded;  // [batch, tokens, hidden]
    AlignedBuffer hidden;    // of the rank's rows
  };

  void Run(std::span<const int64_t> ids);
  void Embed(std::span<const int64_t> ids);
  Mask PrefillMask() const { return config_.is_causal ? Mask::Causal() : Mask::Full(); }
  std::vector<TokenSegments> Dealt(int64_t tokens) const;  // of a prefill, by rank
  // Collective. The rows of the caches as decoding takes them, from where a prefill of these shares left
  // them: of layers that do not slide, of those that do.
  void BalanceCaches(const std::vector<TokenSegments>& shares);
  void KeepWindows(const std::vector<TokenSegments>& shares);
  bool slides(size_t layer) const {
    return config_.layer_type(static_cast<int64_t>(layer)) == LayerType::kSlidingAttention;
  }
  IndexRange Vocabulary(int rank) const { return VocabularyRows(config_, communicator_->size(), rank); }
  bool deals_tokens() const;  // hidden states of the last step are spread over ranks
  // Hidden states of the last token, [batch, hidden], into last_hidden_.
  void FindLastHidden();
  // Hidden states of the last step's tokens, [batch, tokens, hidden], on every rank.
  std::vector<float> AllHidden();
  // Final norm, in place, and this rank's part of the LM head: [rows, vocabulary], own columns filled.
  void OwnLogits(Linear& linear, float* hidden, int64_t rows, float* logits);
  // The same of the last token, into logits_.
  void OwnLastLogits();

  Communicator* communicator_;
  std::shared_ptr<const ModelStorage> storage_;
  Qwen3Config config_;
  ModelOptions options_;
  RotaryTable rotary_;
  std::vector<KeyValueCache> caches_;            // by layer
  std::optional<KeyValueCache> window_scratch_;  // of KeepWindows; if layers slide

  int64_t tokens_ = 0;
  std::unique_ptr<Step> prefill_;  // of the last prompt's length; made anew for another
  std::unique_ptr<Step> decode_;   // made once: decoding allocates nothing but the book-keeping of messages
  Step* last_ = nullptr;           // of the two
  Linear last_linear_;             // LM head of one row per sequence
  std::vector<float> last_hidden_, logits_;
};

}  // namespace attention

#endif  // SRC_QWEN3_DECODER_MODEL_H_
