// The decoder in float64, for the accuracy column: written for being right, fast enough for one pass.
//
// Independent of decoder_step: plain rows, no panels, no cache, weights read from the source row by row.
// Ranks share the work by tokens; only keys and values are exchanged.
#ifndef SRC_QWEN3_DECODER_DECODER_REFERENCE_H_
#define SRC_QWEN3_DECODER_DECODER_REFERENCE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/attention/mask.h"
#include "src/base/data_type.h"
#include "src/mpi/communicator.h"
#include "src/parallel/partition/partition.h"
#include "src/qwen3/checkpoint/config.h"
#include "src/qwen3/checkpoint/tensor_source.h"
#include "src/qwen3/decoder/precision.h"
#include "src/qwen3/decoder/synthetic_cache.h"

namespace attention {

struct ReferenceSetup {
  Qwen3Config config;
  const TensorSource* source = nullptr;
  DataType weight_type = DataType::kFloat32;  // matrices are rounded to it first
  int64_t batch = 1;
  int64_t tokens = 0;
  Mask mask = Mask::Causal();  // of layers that do not slide
  int threads = 1;
  // The first of the tokens, if their keys and values are made instead of computed: only the others' hidden
  // states are then asked for and worked on.
  std::optional<SyntheticCache> cached;
  DecoderPrecision precision = {};  // what is rounded beside the weights, at the same places
};

class DecoderReference {
 public:
  DecoderReference(const Communicator& communicator, const ReferenceSetup& setup);

  // This rank's tokens, a contiguous share of those that are not cached; its hidden states are [batch, own
  // tokens, hidden].
  IndexRange own_tokens() const { return own_; }

  // Collective. Attention block of layer `layer` on `hidden` for the tokens `wanted` of each batch entry
  // (ascending global positions; those of other ranks are left out): [batch, own wanted, hidden].
  std::vector<double> Block(int64_t layer, const std::vector<double>& hidden,
                            std::span<const int64_t> wanted) const;
  // Collective. The same for a whole decoder layer.
  std::vector<double> Layer(int64_t layer, const std::vector<double>& hidden,
                            std::span<const int64_t> wanted) const;
  // Collective. Logits of the last token, [batch, vocabulary], on every rank; ids [batch, tokens].
  std::vector<double> LastTokenLogits(std::span<const int64_t> ids) const;

 private:
  // rows [rows, columns] times the transposed tensor `name` [outputs, columns].
  std::vector<double> Multiply(const std::string& name, const std::vector<double>& rows, int64_t columns,
                               int64_t outputs) const;
  // The same and, with attention_bias, the projection's bias: `name` is without ".weight".
  std::vector<double> Project(const std::string& name, const std::vector<double>& rows, int64_t columns,
                              int64_t outputs) const;
  std::vector<double> MultiplyPart(const std::string& name, const std::vector<double>& rows, int64_t columns,
                                   int64_t outputs, const IndexRange& part) const;
  std::vector<double> Norm(const std::string& name, const std::vector<double>& rows, int64_t width) const;
  void NormAndRotate(const std::string& name, std::vector<double>& heads, int64_t head_count,
                     std::span<const int64_t> positions) const;
  // Keys or values of a layer: own rows of every batch entry [batch, own, width] -> all rows [batch, tokens,
  // width], the cached ones first.
  std::vector<double> GatherAll(SyntheticCache::Part part, int64_t layer,
                                const std::vector<double>& own) const;
  void FillCached(SyntheticCache::Part part, int64_t layer, std::vector<double>& all) const;
  Mask MaskOf(int64_t layer) const;
  int64_t cached_tokens() const { return setup_.cached ? setup_.cached->tokens : 0; }
  // The share of a rank.
  IndexRange TokensOf(int rank) const;
  std::vector<double> SelectRows(const std::vector<double>& hidden, std::span<const int64_t> positions) const;
  std::vector<int64_t> OwnOf(std::span<const int64_t> positions) const;
  std::vector<int64_t> AllOwn() const;

  const Communicator* communicator_;
  ReferenceSetup setup_;
  IndexRange own_;
};

}  // namespace attention

#endif  // SRC_QWEN3_DECODER_DECODER_REFERENCE_H_
