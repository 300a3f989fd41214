// Scopes block, layer and model: a Qwen3 decoder on seeded weights of the real shapes.
#ifndef SRC_EXPERIMENT_WORKLOAD_DECODER_WORKLOAD_H_
#define SRC_EXPERIMENT_WORKLOAD_DECODER_WORKLOAD_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "src/experiment/workload/workload.h"
#include "src/qwen3/decoder/decoder_reference.h"
#include "src/qwen3/decoder/model_storage.h"
#include "src/qwen3/decoder/synthetic_cache.h"

namespace attention {

// Weights of the cell under measurement, the cell's own or seeded; variants of one strategy share a model's.
class CellWeights {
 public:
  // Told on every rank after each layer of a model; may be empty.
  using LoadingProgress = std::function<void(int64_t layers_loaded, int64_t layers)>;
  explicit CellWeights(const Cell& cell, LoadingProgress progress = {});

  const Qwen3Config& config() const { return config_; }
  const TensorSource& source() const { return *source_; }
  // Collective.
  std::shared_ptr<const ModelStorage> Model(const Communicator& communicator, ParallelStrategy strategy);

 private:
  DataType type_;
  int threads_;
  Qwen3Config config_;
  std::shared_ptr<const TensorSource> source_;
  LoadingProgress progress_;
  std::map<ParallelStrategy, std::shared_ptr<const ModelStorage>> models_;
};

// What a decode of the cell finds in its cache; none for a prefill, or if there is nothing before the token.
std::optional<SyntheticCache> CachedTokensOf(const Cell& cell, const Qwen3Config& config);

// Collective over `communicator`, which, as `weights`, must outlive the result. Throws the same Error on
// every rank. dtype of the cell is that of the weights; its precision says what else is not float32.
//   block, layer  prefill: all rows of seeded hidden states. decode: the last one, after a cache of made keys
//                 and values (synthetic_cache.h).
//   model         prefill: seeded token ids to the first generated token. decode: one more token, greedy, the
//                 cache made likewise.
std::unique_ptr<Workload> MakeDecoderWorkload(Communicator& communicator, const Cell& cell, const Case& made,
                                              BackendFactory backend, CellWeights& weights);

}  // namespace attention

#endif  // SRC_EXPERIMENT_WORKLOAD_DECODER_WORKLOAD_H_
